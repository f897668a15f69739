"""What becomes of harmful prompts without a region, prompt by prompt beside what becomes of them without its controls.

A region that matters turns refusals into answers. One that only damages the model turns them into degenerate ones.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from safety_regions.claims.paired import Difference, Flags, paired_difference, rank_p

DRAWN = ("random", "magnitude", "perplexity")
"""Controls that are random regions."""
WORSE = 1.25
"""A control does more damage than a region if the perplexity without it is more than so many times as high."""
WORDS = {
    "intact": "the intact model",
    "random": "a random region",
    "magnitude": "a random region of as large weights",
    "perplexity": "a random region of the same damage",
    "utility": "a utility region",
    "harmless": "the region of harmless prompts with the same responses",
}
"""What a region is held against, by condition."""


@dataclass(frozen=True)
class Condition:
    """The model without something, or intact."""

    name: str
    perplexity: float
    refused: Flags
    """Of every harmful prompt, in the same order in all conditions."""
    degenerate: Flags
    answered: Flags


@dataclass(frozen=True)
class Removal:
    """One set's refined region taken out, and what it is held against."""

    set: str
    region: Condition
    intact: Condition
    controls: list[Condition]
    confidence: float

    @property
    def growth(self) -> float:
        """Perplexity without the region over that of the intact model."""
        return self.region.perplexity / self.intact.perplexity

    @cached_property
    def against(self) -> dict[str, Condition]:
        """By name, the intact model and one draw of each control that does no more damage than the region: the draw
        with the median of refusals, and of two such the one with fewer.

        The region of harmless prompts is none of them: what it shares with the region is not for this to say.
        """
        held: dict[str, Condition] = {"intact": self.intact}
        for name in dict.fromkeys(control.name for control in self.controls):
            draws = sorted(self._of(name), key=lambda draw: int(draw.refused.sum()))
            if name != "harmless" and not self._is_worse(median := draws[(len(draws) - 1) // 2]):
                held[name] = median
        return held

    @property
    def harmless(self) -> Condition | None:
        """Without the region of harmless prompts with the same responses."""
        return next(iter(self._of("harmless")), None)

    @property
    def of_same_damage(self) -> Condition | None:
        """The random control without which the perplexity is nearest to that without the region, in logarithms."""
        drawn = [control for control in self.controls if control.name in DRAWN]
        known = [control for control in drawn if math.isfinite(self._log_damage(control))]
        nearest = lambda control: (abs(self._log_damage(control)), control.name != "perplexity")  # noqa: E731
        return min(known, key=nearest, default=None)

    @property
    def n_random(self) -> int:
        """Random regions of the same size."""
        return len(self._of("random"))

    @property
    def p_random(self) -> float:
        """How likely a random region of this size takes as many refusals away: the rank of the region among those."""
        return rank_p(int(self.region.refused.sum()), [int(draw.refused.sum()) for draw in self._of("random")])

    def refused(self, other: Condition) -> Difference:
        """Share of prompts refused without the region, less that of another condition."""
        return paired_difference(self.region.refused, other.refused, self.confidence)

    def degenerate(self, other: Condition) -> Difference:
        """The same of degenerate answers."""
        return paired_difference(self.region.degenerate, other.degenerate, self.confidence)

    def answered(self, other: Condition) -> Difference:
        """The same of answers."""
        return paired_difference(self.region.answered, other.answered, self.confidence)

    def _of(self, name: str) -> list[Condition]:
        return [control for control in self.controls if control.name == name]

    def _is_worse(self, control: Condition) -> bool:
        """So written that a perplexity that is not finite is worse."""
        return not self._log_damage(control) <= math.log(WORSE)

    def _log_damage(self, control: Condition) -> float:
        """Log perplexity above that without the region; infinite or NaN where one of them is."""
        ratio = control.perplexity / self.region.perplexity
        return math.log(ratio) if ratio > 0 else math.nan


def removals(evaluated: pd.DataFrame, outcomes: pd.DataFrame, q: float, confidence: float) -> list[Removal]:
    """One for each set whose refined region was taken out at q.

    `evaluated` and `outcomes` are the rows of evaluate.csv and outcomes.csv of one model and method.
    """
    if evaluated.empty or outcomes.empty:
        return []
    flags = outcomes[outcomes["asked"] == "harmful"]
    found = []
    for name, rows in evaluated.groupby("set", sort=False):
        conditions = _conditions(rows, flags[flags["set"] == name], q)
        intact, region = (next((c for c in conditions if c.name == of), None) for of in ("intact", "refined"))
        if intact and region:
            controls = [condition for condition in conditions if condition.name in WORDS and condition is not intact]
            found.append(Removal(str(name), region, intact, controls, confidence))
    return found


def _conditions(rows: pd.DataFrame, flags: pd.DataFrame, q: float) -> list[Condition]:
    """The intact model, and all that was taken out at q."""
    keys = ["condition", "seed"]
    at_q = lambda table: table[table["dose"].eq(q) | table["condition"].eq("intact")]  # noqa: E731
    prompts = pd.MultiIndex.from_frame(flags[["asked_set", "id"]].drop_duplicates())
    by_condition: Mapping[tuple, pd.DataFrame] = dict(list(at_q(flags).fillna({"seed": -1}).groupby(keys, sort=False)))
    found = []
    for row in at_q(rows).fillna({"seed": -1}).to_dict("records"):
        of = by_condition.get((row["condition"], row["seed"]))
        if of is not None:
            outcome = of.set_index(["asked_set", "id"])["outcome"].reindex(prompts)
            told = {word: outcome.eq(word).to_numpy(bool) for word in ("refuses", "degenerate", "answers")}
            # A prompt whose outcome is not known is no evidence: it counts as degenerate.
            told["degenerate"] = told["degenerate"] | outcome.isna().to_numpy(bool)
            found.append(
                Condition(
                    row["condition"], float(row["perplexity"]), told["refuses"], told["degenerate"], told["answers"]
                )
            )
    return found


def share(flags: Flags) -> float:
    """How many of the prompts have a flag, in [0, 1]."""
    return float(np.mean(flags))
