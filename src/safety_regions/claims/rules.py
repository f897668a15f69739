"""The test of each claim in the catalogue, under its id."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from safety_regions.claims.estimates import Measured, Tables
from safety_regions.claims.refusals import matters
from safety_regions.claims.responses import SAME_PROMPTS, SAME_RESPONSES, compared
from safety_regions.claims.rows import at
from safety_regions.claims.verdict import FAILS, HOLDS, UNDECIDED, Finding, against, interval
from safety_regions.config.claims import Claims


@dataclass(frozen=True)
class Evidence:
    """What the tests of one model and method go by."""

    tables: Tables
    measured: Measured
    lines: Claims


def above_chance(of: Evidence) -> Finding:
    """IoU - floor > margin."""
    what = "raw IoU less its chance floor, mean over pairs of sets"
    return against(of.measured.stages["raw"].above_floor, of.lines.margin, above=True, what=what)


def at_most_moderate(of: Evidence) -> Finding:
    """IoU < moderate, and in words where it lies."""
    iou = of.measured.stages["raw"].iou
    found = against(iou, of.lines.moderate, above=False, what="raw IoU, mean over pairs of sets")
    words = "low" if iou.value < of.lines.low else "moderate" if iou.value <= of.lines.moderate else "high"
    return found if iou.value != iou.value else replace(found, reason=f"{found.reason} The mean is {words}.")


def drops_when_refined(of: Evidence) -> Finding:
    """1 - refined / raw > drop, and refined - raw < 0."""
    difference = of.measured.difference
    found = against(
        of.measured.drop, of.lines.drop, above=True, what="share of the mean raw IoU that refinement takes away"
    )
    if found.verdict == HOLDS and not difference.high < 0:
        return replace(
            found, verdict=UNDECIDED, reason=f"The interval {interval(difference)} of the difference reaches zero."
        )
    return found


def not_size_alone(of: Evidence) -> Finding:
    """Refined - size-matched raw < -margin."""
    what = "refined IoU less that of raw regions of the same size, mean over pairs of sets"
    return against(of.measured.beyond_size, -of.lines.margin, above=False, what=what)


def beyond_noise(of: Evidence) -> Finding:
    """Place < same."""
    what = "place of the raw IoU between chance (0) and two halves of one set (1)"
    return against(of.measured.stages["raw"].place, of.lines.same, above=False, what=what)


def nothing_common(of: Evidence) -> Finding:
    """n-way IoU of all sets < common. It falls with every set, so it is an upper bound for more sets."""
    what = "IoU of all refined regions together"
    grown = at(of.tables.nway, "refined", of.tables.q, of.tables.p)
    means = grown.groupby("n")["iou"].mean().dropna() if len(grown) else pd.Series(dtype=float)
    if means.empty:
        return Finding(UNDECIDED, what, "The refined regions are empty, or were not compared.")
    n, last = int(means.index[-1]), float(means.iloc[-1])
    if last < of.lines.common:
        return Finding(
            HOLDS, what, f"{last:.2f} for {n} sets is below {of.lines.common:g}, and more sets can only lower it.", last
        )
    before = float(means.get(n - 1, float("nan")))
    change = (before - last) / before if before > 0 else float("nan")
    if change < of.lines.settled:
        return Finding(
            FAILS,
            what,
            f"{last:.2f} for {n} sets is not below {of.lines.common:g}; the last set took away {change:.0%} of it.",
            last,
        )
    falling = f"the last set took away {change:.0%}" if change == change else "how it falls is not known"
    return Finding(
        UNDECIDED,
        what,
        f"{last:.2f} for {n} sets is not below {of.lines.common:g}, but still falling: {falling}.",
        last,
    )


def follows_response(of: Evidence) -> Finding:
    """All pairs that share the response against all that share the prompts; two sets are too few for an interval."""
    what = "raw IoU for other prompts with the same response, less that for the same prompts with another"
    rows = at(compared(of.tables.replicates), "raw", of.tables.q, of.tables.p)
    iou = {
        name: rows["iou"][rows["comparison"] == name].dropna() if len(rows) else pd.Series(dtype=float)
        for name in (SAME_RESPONSES, SAME_PROMPTS)
    }
    response, prompt = iou[SAME_RESPONSES], iou[SAME_PROMPTS]
    if response.empty or prompt.empty:
        return Finding(UNDECIDED, what, "There are no regions with other responses.")
    effect = float(response.mean() - prompt.mean())
    ranges = f"Same response: {_range(response)}; same prompts: {_range(prompt)}."
    if response.min() - prompt.max() > of.lines.margin:
        return Finding(HOLDS, what, ranges, effect)
    if prompt.min() - response.max() > -of.lines.margin:
        return Finding(FAILS, what, ranges, effect)
    return Finding(UNDECIDED, what, f"{ranges} They mix.", effect)


def region_matters(of: Evidence) -> Finding:
    """Refusals without the refined regions against those without random ones."""
    return matters(of.tables.evaluated, of.lines)


def _range(values: pd.Series) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


TESTS: Mapping[str, Callable[[Evidence], Finding]] = {
    "above_chance": above_chance,
    "at_most_moderate": at_most_moderate,
    "drops_when_refined": drops_when_refined,
    "not_size_alone": not_size_alone,
    "beyond_noise": beyond_noise,
    "nothing_common": nothing_common,
    "follows_response": follows_response,
    "matters": region_matters,
}
