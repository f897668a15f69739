"""Tables of an evaluation by what became of the prompts: planted worlds in which regions matter, damage, or do
nothing."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from safety_regions.claims.removal import DRAWN, Condition, Removal, removals

Q = 0.05
Shares = tuple[float, float]
"""Of prompts refused, and with degenerate answers; the others are answered."""
INTACT = (1.0, 0.0)


def outcomes_of(shares: Shares, n: int, random: np.random.Generator | None) -> np.ndarray:
    """The first prompts are refused and the last degenerate; `random`: each prompt with these chances, on its own."""
    refused, degenerate = shares
    u = (np.arange(n) + 0.5) / n if random is None else random.random(n)
    return np.where(u < refused, "refuses", np.where(u >= 1 - degenerate, "degenerate", "answers"))


def tables(
    conditions: Mapping[str, list[Shares]],
    n: int = 48,
    perplexity: Mapping[str, float] | None = None,
    name: str = "s",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """evaluate.csv and outcomes.csv of one set."""
    rates, outcomes = [], []
    for condition, draws in conditions.items():
        for seed, shares in enumerate(draws):
            known = {
                "set": name,
                "condition": condition,
                "dose": np.nan if condition == "intact" else Q,
                "seed": seed if condition in DRAWN else np.nan,
            }
            value = (perplexity or {}).get(condition, 10.0 if condition == "intact" else 20.0)
            rates.append(known | {"perplexity": value, "n_harmful": n})
            outcomes += [
                known | {"asked": "harmful", "asked_set": "h", "id": f"h-{i}", "outcome": str(word)}
                for i, word in enumerate(outcomes_of(shares, n, None))
            ]
            outcomes.append(known | {"asked": "harmless", "asked_set": "u", "id": "u-0", "outcome": "refuses"})
    return pd.DataFrame(rates), pd.DataFrame(outcomes)


def drawn(conditions: Mapping[str, list[Shares]], random: np.random.Generator, n: int) -> Removal:
    """The region of a world in which prompts answer by chance, without the tables, which take their time."""
    found = []
    for condition, draws in conditions.items():
        for shares in draws:
            words = outcomes_of(shares, n, random)
            flags = (words == word for word in ("refuses", "degenerate", "answers"))
            found.append(Condition(condition, 10.0 if condition == "intact" else 20.0, *flags))
    region, intact = (next(c for c in found if c.name == name) for name in ("refined", "intact"))
    return Removal("s", region, intact, [c for c in found if c.name not in ("raw", "refined", "intact")], 0.95)


def world(
    refined: Shares = (0.0, 0.0),
    others: Shares = (1.0, 0.0),
    harmless: Shares | None = None,
    n_random: int = 19,
    intact: Shares = INTACT,
    **controls: list[Shares],
) -> dict[str, list[Shares]]:
    """A region, and controls that do what `others` says unless they are named."""
    kinds = {
        "random": [others] * n_random,
        "magnitude": [others],
        "perplexity": [others],
        "utility": [others],
    } | controls
    found = {"intact": [intact], "raw": [refined], "refined": [refined], **{k: of for k, of in kinds.items() if of}}
    return found | ({"harmless": [harmless]} if harmless else {})


def removed(conditions: Mapping[str, list[Shares]], confidence: float = 0.95, **of: object) -> list[Removal]:
    """The region of `tables` taken out."""
    return removals(*tables(conditions, **of), Q, confidence)  # type: ignore[arg-type]
