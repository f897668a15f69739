"""What was decided about a claim, and the one rule by which intervals are held against thresholds."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from safety_regions.claims.catalogue import Claim
from safety_regions.claims.jackknife import NAN, Estimate, moved_most

HOLDS = "holds"
FAILS = "does not hold"
UNDECIDED = "undecided"
NOT_RUN = "not run"
NOT_APPLICABLE = "not applicable"
MARKS = {HOLDS: "✓", FAILS: "✗", UNDECIDED: "?", NOT_RUN: "–", NOT_APPLICABLE: "·"}
"""By decision: the sign that stands for it."""


@dataclass(frozen=True)
class Outcome:
    """What one claim's test came to; without numbers where there is nothing to decide it by."""

    decision: str
    """`HOLDS`, `FAILS`, or `UNDECIDED` by what there is; `NOT_RUN` where what decides it was not computed;
    `NOT_APPLICABLE` where the claim says nothing of the method."""
    reason: str
    effect: float = NAN
    low: float = NAN
    high: float = NAN
    p_value: float = NAN
    """Two-sided, of a truth on the line; NaN where the test is no interval over sets."""

    def rounded(self) -> "Outcome":
        """With six digits behind the point, as in verdicts.json; NaN for what is not finite."""
        numbers = (self.effect, self.low, self.high, self.p_value)
        effect, low, high, p_value = map(_rounded, numbers)
        return replace(self, effect=effect, low=low, high=high, p_value=p_value)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim's test for one model and method."""

    claim: Claim
    model: str
    method: str
    outcome: Outcome
    p_holm: float = NAN
    """p adjusted for all verdicts of the run (`safety_regions.claims.multiplicity`)."""
    p_bh: float = NAN
    error_rate: float = 0.05
    """1 - confidence: what an adjusted p has to be below for the verdict to remain decided."""
    without: Mapping[str, Outcome] = field(default_factory=dict)
    """By set: the outcome of the test without it."""

    @property
    def moved_most(self) -> tuple[str, Outcome] | None:
        """The set without which the effect is farthest from that of all sets, and the outcome without it; the first of
        equals, None without effects.
        """
        name = moved_most(self.outcome.effect, {name: of.effect for name, of in self.without.items()})
        return None if name is None else (name, self.without[name])


def by_claim(verdicts: Iterable[Verdict]) -> dict[Claim, list[Verdict]]:
    """The verdicts on each claim, in the order in which they come."""
    verdicts_on: dict[Claim, list[Verdict]] = {}
    for verdict in verdicts:
        verdicts_on.setdefault(verdict.claim, []).append(verdict)
    return verdicts_on


def against(estimate: Estimate, threshold: float, *, above: bool) -> Outcome:
    """Whether an estimate is above (or below) a threshold: its whole interval has to be on one side.

    Undecided if the interval reaches across the threshold, or there is none.
    """
    numbers = (estimate.value, estimate.low, estimate.high, estimate.p_value(threshold))
    if math.isnan(estimate.value):
        return Outcome(UNDECIDED, "There is nothing to decide it by.")
    if math.isnan(estimate.low):
        reason = f"No interval: without one of the {estimate.n_sets} sets it is undefined."
        return Outcome(UNDECIDED, reason, *numbers)
    is_above, is_below = estimate.low > threshold, estimate.high < threshold
    if not (is_above or is_below):
        return Outcome(UNDECIDED, f"The interval {interval(estimate)} reaches across {threshold:g}.", *numbers)
    side = "above" if is_above else "below"
    reason = f"The interval {interval(estimate)} lies {side} {threshold:g}."
    return Outcome(HOLDS if is_above == above else FAILS, reason, *numbers)


def interval(estimate: Estimate) -> str:
    """[low, high] with two digits."""
    return f"[{estimate.low:.2f}, {estimate.high:.2f}]"


def _rounded(value: float) -> float:
    # -0.0 and 0.0 are one number and must be one text.
    return round(value, 6) + 0.0 if math.isfinite(value) else NAN
