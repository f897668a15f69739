"""The test of each claim in the catalogue, under its id."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from safety_regions.claims import refusals
from safety_regions.claims.estimates import Measured, Stage, Tables
from safety_regions.claims.jackknife import NAN
from safety_regions.claims.responses import SAME_PROMPTS, SAME_RESPONSES, compared
from safety_regions.claims.rows import at
from safety_regions.claims.verdict import FAILS, HOLDS, UNDECIDED, Outcome, against, interval
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


def above_chance(evidence: Evidence) -> Outcome:
    """IoU - floor > margin."""
    return against(evidence.raw.above_floor, evidence.lines.margin, above=True)


def at_most_moderate(evidence: Evidence) -> Outcome:
    """IoU < moderate, and in words where it lies."""
    iou, lines = evidence.raw.iou.value, evidence.lines
    outcome = against(evidence.raw.iou, lines.moderate, above=False)
    degree = "low" if iou < lines.low else "moderate" if iou <= lines.moderate else "high"
    return outcome if math.isnan(iou) else replace(outcome, reason=f"{outcome.reason} The mean is {degree}.")


def drops_when_refined(evidence: Evidence) -> Outcome:
    """1 - refined / raw > drop, and refined - raw < 0."""
    outcome, difference = against(evidence.measured.drop, evidence.lines.drop, above=True), evidence.measured.difference
    if outcome.decision == HOLDS and not difference.high < 0:
        reason = f"The interval {interval(difference)} of the difference reaches zero."
        return replace(outcome, decision=UNDECIDED, reason=reason)
    return outcome


def not_size_alone(evidence: Evidence) -> Outcome:
    """Refined - size-matched raw < -margin."""
    return against(evidence.measured.beyond_size, -evidence.lines.margin, above=False)


def beyond_noise(evidence: Evidence) -> Outcome:
    """Place < same."""
    return against(evidence.raw.place, evidence.lines.same, above=False)


def nothing_common(evidence: Evidence) -> Outcome:
    """n-way IoU of all sets < common. It falls with every set, so it is an upper bound for more sets."""
    means, common = _means_as_sets_are_added(evidence.tables), evidence.lines.common
    if means.empty:
        return Outcome(UNDECIDED, "The refined regions are empty, or were not compared.")
    n_sets, iou = int(means.index[-1]), float(means.iloc[-1])
    if iou < common:
        reason = f"{iou:.2f} for {n_sets} sets is below {common:g}, and more sets can only lower it."
        return Outcome(HOLDS, reason, iou)
    before = float(means.get(n_sets - 1, NAN))
    lost = (before - iou) / before if before > 0 else NAN
    not_below = f"{iou:.2f} for {n_sets} sets is not below {common:g}"
    if lost < evidence.lines.settled:
        return Outcome(FAILS, f"{not_below}; the last set took away {lost:.0%} of it.", iou)
    falling = "how it falls is not known" if math.isnan(lost) else f"the last set took away {lost:.0%}"
    return Outcome(UNDECIDED, f"{not_below}, but still falling: {falling}.", iou)


def follows_response(evidence: Evidence) -> Outcome:
    """All pairs that share the response against all that share the prompts; two sets are too few for an interval."""
    rows = at(compared(evidence.tables.replicates), "raw", evidence.tables.q, evidence.tables.p)
    response, prompt = _ious(rows, SAME_RESPONSES), _ious(rows, SAME_PROMPTS)
    if response.empty or prompt.empty:
        return Outcome(UNDECIDED, "There are no regions with other responses.")
    effect = float(response.mean() - prompt.mean())
    ranges = f"Same response: {_range(response)}; same prompts: {_range(prompt)}."
    if response.min() - prompt.max() > evidence.lines.margin:
        return Outcome(HOLDS, ranges, effect)
    if prompt.min() - response.max() > -evidence.lines.margin:
        return Outcome(FAILS, ranges, effect)
    return Outcome(UNDECIDED, f"{ranges} They mix.", effect)


def matters(evidence: Evidence) -> Outcome:
    """Refusals without the refined regions against those without random ones."""
    return refusals.matters(evidence.tables.evaluated, evidence.lines)


def _means_as_sets_are_added(tables: Tables) -> pd.Series:
    """Mean IoU of n refined regions together over the orders of the sets, by n; what is undefined is left out."""
    refined = at(tables.nway, "refined", tables.q, tables.p)
    return refined.groupby("n")["iou"].mean().dropna() if len(refined) else pd.Series(dtype=float)


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
        beyond_noise,
        nothing_common,
        follows_response,
        matters,
    )
}
