"""The test of each claim in the catalogue, under its id."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from safety_regions.claims import constrained, refusals
from safety_regions.claims.estimates import Measured, Stage, Tables
from safety_regions.claims.jackknife import jackknife, set_means
from safety_regions.claims.removal import Removal, removals
from safety_regions.claims.responses import OTHER_PROMPTS, SAME_PROMPTS, SAME_RESPONSES, compared
from safety_regions.claims.rows import at
from safety_regions.claims.verdict import (
    FAILS,
    HOLDS,
    NOT_APPLICABLE,
    NOT_RUN,
    UNDECIDED,
    Outcome,
    against,
    interval,
)
from safety_regions.config.claims import Claims


@dataclass(frozen=True)
class Evidence:
    """What the tests of one model and method go by."""

    tables: Tables
    measured: Measured
    lines: Claims

    @property
    def raw(self) -> Stage:
        """The estimates before refinement."""
        return self.measured.stages["raw"]

    @cached_property
    def removals(self) -> list[Removal]:
        """Refined regions taken out, one for each set that this was done with."""
        return removals(self.tables.evaluated, self.tables.outcomes, self.tables.q, self.lines.confidence)

    def is_compared(self, stage: str) -> bool:
        """Whether pairs of regions of a stage were compared, be they empty or not."""
        return self.measured.stages[stage].is_compared


NOT_COMPARED = Outcome(NOT_RUN, "The raw regions were not compared.")
NOT_REFINED = Outcome(NOT_RUN, "The refined regions were not compared.")


def above_chance(evidence: Evidence) -> Outcome:
    """IoU - floor > margin."""
    if not evidence.is_compared("raw"):
        return NOT_COMPARED
    return against(evidence.raw.above_floor, evidence.lines.margin, above=True)


def at_most_moderate(evidence: Evidence) -> Outcome:
    """IoU < moderate, and in words where it lies."""
    if not evidence.is_compared("raw"):
        return NOT_COMPARED
    iou, lines = evidence.raw.iou.value, evidence.lines
    outcome = against(evidence.raw.iou, lines.moderate, above=False)
    degree = "low" if iou < lines.low else "moderate" if iou <= lines.moderate else "high"
    return outcome if math.isnan(iou) else replace(outcome, reason=f"{outcome.reason} The mean is {degree}.")


def drops_when_refined(evidence: Evidence) -> Outcome:
    """1 - refined / raw > drop, and refined - raw < 0."""
    if not evidence.is_compared("refined"):
        return NOT_REFINED
    difference = evidence.measured.refinement.difference
    outcome = against(evidence.measured.refinement.drop, evidence.lines.drop, above=True)
    if outcome.decision == HOLDS and not difference.high < 0:
        reason = f"The interval {interval(difference)} of the difference reaches zero."
        return replace(outcome, decision=UNDECIDED, reason=reason)
    return outcome


def not_size_alone(evidence: Evidence) -> Outcome:
    """Refined - size-matched raw < -margin."""
    if not evidence.tables.sizes_vary:
        return Outcome(NOT_APPLICABLE, "The method's regions are as large at every fraction: none is cut to a size.")
    if not evidence.is_compared("refined"):
        return NOT_REFINED
    return against(evidence.measured.refinement.beyond_size, -evidence.lines.margin, above=False)


def beyond_placebo(evidence: Evidence) -> Outcome:
    """Refined - placebo < -margin."""
    if not evidence.tables.sizes_vary:
        return Outcome(NOT_APPLICABLE, "The method's regions are as large at every fraction: none takes out as much.")
    if not evidence.is_compared("refined"):
        return NOT_REFINED
    if evidence.tables.placebo.empty or len(evidence.tables.sets) < 3:
        return Outcome(NOT_RUN, "No third safety set was taken out of two.")
    found = evidence.measured.refinement
    outcome = against(found.beyond_placebo, -evidence.lines.margin, above=False)
    if math.isnan(found.placebo.value):
        return replace(outcome, reason="No third safety set takes out as much as refinement does.")
    reason = f"{outcome.reason} Refinement takes out {found.taken:.2f} of the regions; without as much of a third set:"
    return replace(outcome, reason=f"{reason} IoU {found.placebo.value:.2f}.")


def beyond_noise(evidence: Evidence) -> Outcome:
    """Ceiling - between > margin. With few prompts it is small whatever sets have in common, so the claim fails only if
    the IoU that unlimited prompts would give is above `same`, too.
    """
    raw, lines = evidence.raw, evidence.lines
    if math.isnan(raw.half_prompts):
        return Outcome(NOT_RUN, "No regions were identified from halves of the sets.")
    if math.isnan(raw.unlimited.value):
        return Outcome(UNDECIDED, "Two halves of one set are no more alike than chance, as far as can be told.")
    outcome = against(raw.apart, lines.margin, above=True)
    if outcome.decision == FAILS and not raw.unlimited.low > lines.same:
        reason = (
            f"From {raw.half_prompts:g} prompts sets are as alike as halves, {interval(raw.apart)}, but with more they "
            f"need not be: at {interval(raw.unlimited)} they would not all be above {lines.same:g}."
        )
        return replace(outcome, decision=UNDECIDED, reason=reason)
    return outcome


def nothing_common(evidence: Evidence) -> Outcome:
    """Retention - chance < common, mean over sets."""
    together = evidence.measured.together
    if not together.n_sets:
        return Outcome(NOT_RUN, "The refined regions were not compared all together.")
    if together.n_sets < 3:
        return Outcome(UNDECIDED, "Two sets have no others whose common part a set more could keep.")
    if together.are_empty:
        return Outcome(UNDECIDED, "The refined regions are empty.")
    if not together.all_but_one_share:
        return Outcome(HOLDS, f"Not even {together.n_sets - 1} sets have an element in common.", 0.0)
    of_set = together.retention.reindex(evidence.tables.sets)
    values = np.diag((of_set["kept"] - of_set["by_chance"]).to_numpy(float))
    outcome = against(jackknife(set_means(values), evidence.lines.confidence), evidence.lines.common, above=False)
    kept = of_set["kept"].dropna().sort_values(kind="stable")
    if kept.empty:
        return Outcome(UNDECIDED, "No order of the sets tells what a set keeps of all others: raise overlap.n_orders.")
    ends = ", ".join(f"{name} {kept[name]:.2f}" for name in dict.fromkeys([kept.index[0], kept.index[-1]]))
    reason = f"{outcome.reason} Of what all others have in common keep least and most: {ends}."
    return replace(outcome, reason=f"{reason} IoU of all: {together.iou:.2f}.")


def follows_response(evidence: Evidence) -> Outcome:
    """All pairs that share the response against all that share the prompts; two sets are too few for an interval."""
    if not evidence.tables.reads_responses:
        return Outcome(NOT_APPLICABLE, "The method reads prompts alone.")
    rows = compared(at(evidence.tables.replicates, "raw", evidence.tables.q, evidence.tables.p))
    response, prompt = _ious(rows, SAME_RESPONSES), _ious(rows, SAME_PROMPTS)
    if response.empty or prompt.empty:
        return Outcome(NOT_RUN, "There are no regions with other responses.")
    effect = float(response.mean() - prompt.mean())
    ranges = f"Same response: {_range(response)}; same prompts: {_range(prompt)}."
    if len(neither := _ious(rows, OTHER_PROMPTS)):
        ranges += (
            f" Beside other prompts with other responses ({neither.mean():.3f}) the same response adds "
            f"{response.mean() - neither.mean():.3f}, the same prompts {prompt.mean() - neither.mean():.3f}."
        )
    if response.min() - prompt.max() > evidence.lines.margin:
        return Outcome(HOLDS, ranges, effect)
    if prompt.min() - response.max() > -evidence.lines.margin:
        return Outcome(FAILS, ranges, effect)
    return Outcome(UNDECIDED, f"{ranges} They mix.", effect)


def matters(evidence: Evidence) -> Outcome:
    """Outcomes without the refined regions against those without their controls."""
    return refusals.matters(evidence.removals, evidence.lines)


def about_harm(evidence: Evidence) -> Outcome:
    """The same against the regions of harmless prompts with the same responses."""
    return refusals.about_harm(evidence.removals, evidence.lines)


def freezing_protects(evidence: Evidence) -> Outcome:
    """Refusals kept in fine-tuning with the region frozen against those with its controls frozen."""
    return constrained.protects(evidence.tables.constrained, evidence.lines)


def rewinding_restores(evidence: Evidence) -> Outcome:
    """Refusals with the region put back after fine-tuning against those with its controls put back."""
    return constrained.restores(evidence.tables.constrained, evidence.lines)


def region_moves(evidence: Evidence) -> Outcome:
    """Share of the change of fine-tuning that lies inside the region against its share of the weights."""
    return constrained.moves(evidence.tables.constrained, evidence.lines)


def _ious(rows: pd.DataFrame, comparison: str) -> pd.Series:
    return rows["iou"][rows["comparison"] == comparison].dropna() if len(rows) else pd.Series(dtype=float)


def _range(values: pd.Series) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


TESTS: Mapping[str, Callable[[Evidence], Outcome]] = {
    test.__name__: test
    for test in (
        above_chance,
        at_most_moderate,
        drops_when_refined,
        not_size_alone,
        beyond_placebo,
        beyond_noise,
        nothing_common,
        follows_response,
        matters,
        about_harm,
        freezing_protects,
        rewinding_restores,
        region_moves,
    )
}
