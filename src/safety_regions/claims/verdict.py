"""What was found about a claim, and the one rule by which intervals are held against thresholds."""

from dataclasses import dataclass

import numpy as np

from safety_regions.claims.jackknife import NAN, Estimate

HOLDS = "holds"
FAILS = "does not hold"
UNDECIDED = "undecided"


@dataclass(frozen=True)
class Finding:
    """The outcome of one claim's test."""

    verdict: str
    what: str
    """What `effect` is, in words."""
    reason: str
    effect: float = NAN
    low: float = NAN
    high: float = NAN


@dataclass(frozen=True)
class Verdict:
    """A finding about one model and method."""

    claim: str
    model: str
    method: str
    finding: Finding


def against(estimate: Estimate, threshold: float, *, above: bool, what: str) -> Finding:
    """Whether an estimate is above (or below) a threshold: its whole interval has to be on one side.

    Undecided if the interval reaches across the threshold, or there is none.
    """
    numbers = (estimate.value, estimate.low, estimate.high)
    if np.isnan(estimate.value):
        return Finding(UNDECIDED, what, "There is nothing to decide it by.")
    if np.isnan(estimate.low):
        return Finding(
            UNDECIDED, what, f"No interval: without one of the {estimate.n_sets} sets it is undefined.", *numbers
        )
    is_above, is_below = estimate.low > threshold, estimate.high < threshold
    if not (is_above or is_below):
        return Finding(UNDECIDED, what, f"The interval {interval(estimate)} reaches across {threshold:g}.", *numbers)
    side = "above" if is_above else "below"
    reason = f"The interval {interval(estimate)} lies {side} {threshold:g}."
    return Finding(HOLDS if is_above == above else FAILS, what, reason, *numbers)


def interval(estimate: Estimate) -> str:
    """[low, high] with two digits."""
    return f"[{estimate.low:.2f}, {estimate.high:.2f}]"
