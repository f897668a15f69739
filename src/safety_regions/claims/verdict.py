"""What was decided about a claim, and the one rule by which intervals are held against thresholds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from safety_regions.claims.catalogue import Claim
from safety_regions.claims.jackknife import NAN, Estimate

HOLDS = "holds"
FAILS = "does not hold"
UNDECIDED = "undecided"
MARKS = {HOLDS: "✓", FAILS: "✗", UNDECIDED: "?"}
"""By decision: the sign that stands for it."""


@dataclass(frozen=True)
class Outcome:
    """What one claim's test came to; without numbers where there is nothing to decide it by."""

    decision: str
    """`HOLDS`, `FAILS` or `UNDECIDED`."""
    reason: str
    effect: float = NAN
    low: float = NAN
    high: float = NAN

    def rounded(self) -> "Outcome":
        """With six digits behind the point, as in verdicts.json; NaN for what is not finite."""
        return replace(self, effect=_rounded(self.effect), low=_rounded(self.low), high=_rounded(self.high))


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim's test for one model and method."""

    claim: Claim
    model: str
    method: str
    outcome: Outcome


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
    numbers = (estimate.value, estimate.low, estimate.high)
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
