"""Tables as the pipeline makes them, made up, for the tests of figures."""

from dataclasses import fields
from itertools import combinations, product

import numpy as np
import pandas as pd
from matplotlib.text import Text

from safety_regions.planning.recipes.report import FigureContext
from safety_regions.report.figures.headline import headline_columns

GRID = [0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2]
NAMES = [
    "advbench",
    "harmbench",
    "jbb",
    "strongreject",
    "maliciousinstruct",
    "xstest_unsafe",
    "do_not_answer",
    "catqa",
    "ailuminate",
    "hh_harmless",
    "a_set_with_a_very_long_name_of_its_own",
    "beavertails_safe",
]
KINDS = ["q", "k", "v", "o", "gate", "up", "down"]
ELEMENTS = 100_000


def context_of(*values) -> FigureContext:
    """A context by its values in their order."""
    return FigureContext(**dict(zip([field.name for field in fields(FigureContext)], values, strict=False)))


def make_context(sets: int, scope: str = "matrix") -> FigureContext:
    return context_of(
        "smollm2-135m-aligned", "snip", 32, 0.05, 0.05, scope, NAMES[:sets], ["alpaca_no_safety", "gsm8k"]
    )


def make_tables(sets: int, iou: float, refined: float, layers: int = 4, empty: int = 0) -> dict[str, pd.DataFrame]:
    """Overlap tables that could be true: mean IoU `iou` before and `refined` after; `empty` sets have nothing left."""
    random = np.random.default_rng(0)
    names, gone = NAMES[:sets], set(NAMES[sets - empty : sets])
    pairs, nway, agreement, sizes = [], [], [], []
    conditions = [("raw", "", q, np.nan, iou) for q in GRID]
    conditions += [("refined", u, q, p, refined) for u in ("gsm8k", "union") for q in GRID for p in GRID]
    for stage, utility, q, p, mean in conditions:
        fixed = {"stage": stage, "utility": utility, "q": q, "p": p}
        lost = gone if stage == "refined" else set()
        floor = q / (2 - q) if stage == "raw" else 0.4 * q / (2 - 0.4 * q)
        for a, b in combinations(names, 2):
            value = float(np.clip(mean * (0.6 + 0.1 * np.log(q * 1000)) * random.lognormal(0, 0.15), 0, 1))
            value = np.nan if {a, b} <= lost else 0.0 if {a, b} & lost else value
            size = int(ELEMENTS * q * (0.5 if stage == "refined" else 1.0))
            kept = {f"size_{x}": 0 if name in lost else size for x, name in (("a", a), ("b", b))}
            pairs.append(
                {**fixed, "scope": "all", "unit": "all", "a": a, "b": b, "iou": value, "floor_iou": floor, **kept}
            )
        for order in range(5):
            for n in range(2, sets + 1):
                value = 0.0 if lost else float(np.clip(mean ** (n / 2) * random.lognormal(0, 0.2), 0, 1))
                union = int(layers * len(KINDS) * ELEMENTS * q * 0.3 * n)
                added = names[(order + n - 1) % sets]
                nway.append(
                    {
                        **fixed,
                        "order": order,
                        "n": n,
                        "added": added,
                        "intersection": round(value * union),
                        "union": union,
                        "iou": value,
                        "floor_iou": floor ** (n - 1),
                        "floor_intersection": union * floor ** (n - 1),
                    }
                )
        held = layers * len(KINDS) * ELEMENTS * q * (1 - len(lost) / sets)
        for k in range(1, sets + 1):
            shared = int(held * mean ** (k - 1)) if k <= sets - len(lost) else 0
            chance = sets * held * floor ** (k - 1)
            agreement.append({**fixed, "n_sets": k, "elements": shared, "floor_elements": chance, "held": held})
        for layer, module, name in ((x, m, name) for x in range(layers) for m in KINDS for name in names):
            if np.isclose(q, 0.05) and (stage == "raw" or (np.isclose(p, 0.05) and utility == "union")):
                tilt = 0.5 + layer / max(layers - 1, 1) if stage == "refined" else 1.0
                left = 0 if name in lost else ELEMENTS * q * tilt * (0.5 if stage == "refined" else 1.0)
                sizes.append(
                    {
                        **fixed,
                        "role": "safety",
                        "dataset": name,
                        "layer": layer,
                        "module": module,
                        "size": int(left),
                        "n_elements": ELEMENTS,
                    }
                )
    for layer, module in product(range(layers), KINDS):
        fixed = {"stage": "raw", "utility": "", "q": 0.05, "p": np.nan}
        sizes.append(
            {
                **fixed,
                "role": "utility",
                "dataset": "union",
                "layer": layer,
                "module": module,
                "size": ELEMENTS // 12,
                "n_elements": ELEMENTS,
            }
        )
    tables = {"pairs": pairs, "nway": nway, "agreement": agreement, "sizes": sizes, "levels": [], "placebo": []}
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def make_headline(models: int = 4) -> pd.DataFrame:
    random = np.random.default_rng(0)
    names = ["tiny-llama", "smollm2-135m-aligned", "gemma3-270m", "a-model-with-quite-a-long-name-indeed"][:models]
    rows = []
    for model, method in ((m, k) for m in names for k in ("snip", "wanda")):
        raw, refined = random.uniform(0.3, 0.9), random.uniform(0.05, 0.4)
        rows.append([model, method, raw, 0.026, refined, 0.01, raw**3, 1e-9, refined**3, 1e-12])
    return pd.DataFrame(rows, columns=headline_columns())


CONFIG = {
    "name": "demo",
    "datasets": {"safety": NAMES[:10], "utility": ["syn_chores", "syn_sums"], "n_samples": 32},
    "thresholds": {"q": 0.05, "p": 0.05, "scope": "matrix"},
}


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]
