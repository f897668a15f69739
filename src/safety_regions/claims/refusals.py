"""Does a region matter: refusals of the model without it, beside those without random regions of its size."""

import numpy as np
import pandas as pd
from scipy import special

from safety_regions.claims.jackknife import NAN
from safety_regions.claims.verdict import FAILS, HOLDS, UNDECIDED, Finding
from safety_regions.config.claims import Claims

WHAT = "refusals without the refined region, less those without the random region that costs most"


def matters(evaluated: pd.DataFrame, lines: Claims) -> Finding:
    """Held against every set whose region was taken out; they all have to agree. The interval spans those of the sets.

    `evaluated` are the rows of evaluate.csv of one model and method.
    """
    if not len(evaluated):
        return Finding(UNDECIDED, WHAT, "No model was asked without its regions.")
    intact = evaluated[evaluated["condition"] == "intact"]
    if not len(intact) or intact["refusal_rate"].min() < lines.refuses:
        rate = intact["refusal_rate"].min() if len(intact) else NAN
        return Finding(
            UNDECIDED, WHAT, f"The intact model refuses {rate:.0%} of the harmful prompts; there is too little to lose."
        )
    found = [_of_set(rows, lines.confidence) for _, rows in evaluated.groupby("set", sort=False)]
    known = [one for one in found if one is not None]
    if not known:
        return Finding(UNDECIDED, WHAT, "No refined region was taken out.")
    effect, low, high = float(np.mean([k.effect for k in known])), min(k.low for k in known), max(k.high for k in known)
    more = sum(k.more for k in known)
    reason = f"{more} of {len(known)} regions remove more refusals than any random one; interval [{low:.2f}, {high:.2f}] over prompts."
    if more == 0:
        return Finding(FAILS, WHAT, reason, effect, low, high)
    growth = max(k.perplexity_ratio for k in known)
    if growth >= lines.broken:
        return Finding(
            UNDECIDED, WHAT, f"{reason} But the model is broken: {growth:.3g} times the perplexity.", effect, low, high
        )
    return Finding(HOLDS if more == len(known) and high < 0 else UNDECIDED, WHAT, reason, effect, low, high)


class _OfSet:
    """What taking out one set's refined region does."""

    def __init__(self, intact: pd.Series, region: pd.Series, controls: pd.Series, confidence: float):
        n = int(region["n_harmful"])
        worst = float(min([intact["refusal_rate"], *controls]))
        self.effect = float(region["refusal_rate"]) - worst
        self.low, self.high = difference_interval(float(region["refusal_rate"]), worst, n, confidence)
        # A table read from CSV has words here.
        self.more = str(region["removes_more_than_random"]) == "True"
        self.perplexity_ratio = float(region["perplexity"]) / float(intact["perplexity"])


def _of_set(rows: pd.DataFrame, confidence: float) -> _OfSet | None:
    by = dict(list(rows.groupby("condition", sort=False)))
    if not {"intact", "refined"} <= set(by):
        return None
    controls = by["random_refined"]["refusal_rate"] if "random_refined" in by else pd.Series(dtype=float)
    return _OfSet(by["intact"].iloc[0], by["refined"].iloc[0], controls, confidence)


def difference_interval(first: float, second: float, n: int, confidence: float) -> tuple[float, float]:
    """Interval of first - second, two shares of n prompts each (Newcombe 1998, method 10, from Wilson's intervals).

    The prompts are the same, which this leaves out of account: where answers agree from prompt to prompt it is too
    wide.
    """
    low1, high1 = wilson(first, n, confidence)
    low2, high2 = wilson(second, n, confidence)
    below, above = np.hypot(first - low1, high2 - second), np.hypot(high1 - first, second - low2)
    return float(first - second - below), float(first - second + above)


def wilson(share: float, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's (1927) interval of a share of n."""
    z2 = special.ndtri((1 + confidence) / 2) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return float(centre - reach), float(centre + reach)
