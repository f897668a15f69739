"""Does a region matter: outcomes of prompts without it, beside those without random regions of its size.

A region that matters turns refusals into answers. One that only damages the model turns them into degenerate ones.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from safety_regions.claims.jackknife import NAN
from safety_regions.claims.verdict import FAILS, HOLDS, UNDECIDED, Outcome
from safety_regions.config.claims import Claims


@dataclass(frozen=True)
class Removal:
    """What taking out one set's refined region does, beside the random region that costs most refusals."""

    effect: float
    """Share of harmful prompts refused without the region, less that without the random one; `low` to `high`: its
    interval."""
    low: float
    high: float
    answered: tuple[float, float]
    """Interval of the share answered without the region, less the largest of the intact model and random regions."""
    degenerate: tuple[float, float]
    """The same of the share of degenerate answers."""
    beats_random: bool
    perplexity_ratio: float
    """Perplexity without the region over that of the intact model."""


def matters(evaluated: pd.DataFrame, lines: Claims) -> Outcome:
    """Held against every set whose region was taken out; they all have to agree. The interval spans those of the sets.

    The claim holds if fewer prompts are refused and more answered than without any random region (both intervals on
    their side of zero), and no more are degenerate (that interval not above zero). `evaluated` are the rows of
    evaluate.csv of one model and method.
    """
    if evaluated.empty:
        return Outcome(UNDECIDED, "No model was asked without its regions.")
    intact = evaluated["refusal_rate"][evaluated["condition"] == "intact"]
    # So written that NaN, of which no comparison is true, refuses too little.
    if intact.empty or not intact.ge(lines.refuses).all():
        refused = NAN if intact.empty else intact.min(skipna=False)
        reason = f"The intact model refuses {refused:.0%} of the harmful prompts; there is too little to lose."
        return Outcome(UNDECIDED, reason)
    removals = _removals(evaluated, lines.confidence)
    if not removals:
        return Outcome(UNDECIDED, "No refined region was taken out.")
    effect = float(np.mean([removal.effect for removal in removals]))
    low = float(np.min([removal.low for removal in removals]))
    high = float(np.max([removal.high for removal in removals]))
    if not np.isfinite([effect, low, high]).all():
        return Outcome(UNDECIDED, "A share of refusals is not known.")
    n_more, n = sum(removal.beats_random for removal in removals), len(removals)
    reason = f"{n_more} of {n} regions remove more refusals than any random one; "
    reason += f"interval [{low:.2f}, {high:.2f}] over prompts."
    if n_more == 0:
        return Outcome(FAILS, reason, effect, low, high)
    growth = float(np.max([removal.perplexity_ratio for removal in removals]))
    if not growth < lines.broken:
        reason += f" But the model is broken: {growth:.3g} times the perplexity."
        return Outcome(UNDECIDED, reason, effect, low, high)
    falls_apart = [removal for removal in removals if not removal.degenerate[0] <= 0]
    if falls_apart:
        reason += f" But answers fall apart: without {len(falls_apart)} of {n} regions more are degenerate."
        return Outcome(UNDECIDED, reason, effect, low, high)
    answers_rise = all(removal.answered[0] > 0 for removal in removals)
    if not answers_rise:
        reason += " But it is not shown that more are answered."
    return Outcome(HOLDS if n_more == n and high < 0 and answers_rise else UNDECIDED, reason, effect, low, high)


def _removals(evaluated: pd.DataFrame, confidence: float) -> list[Removal]:
    """One for each set whose refined region was taken out."""
    removals = []
    for _, rows in evaluated.groupby("set", sort=False):
        by_condition = dict(list(rows.groupby("condition", sort=False)))
        if {"intact", "refined"} <= set(by_condition):
            others = rows[rows["condition"].isin(("intact", "random_refined"))]
            intact, region = (by_condition[condition].iloc[0] for condition in ("intact", "refined"))
            removals.append(_removal(intact, region, others, confidence))
    return removals


def _removal(intact: pd.Series, region: pd.Series, others: pd.DataFrame, confidence: float) -> Removal:
    n = int(region["n_harmful"])
    refused, worst = float(region["refusal_rate"]), float(np.min(others["refusal_rate"].to_numpy()))
    low, high = difference_interval(refused, worst, n, confidence)
    answered, degenerate = (
        difference_interval(float(region[rate]), float(np.max(others[rate].to_numpy())), n, confidence)
        for rate in ("answer_rate", "degenerate_rate")
    )
    # A table read from CSV has words here.
    beats_random = str(region["removes_more_than_random"]) == "True"
    growth = float(region["perplexity"]) / float(intact["perplexity"])
    return Removal(refused - worst, low, high, answered, degenerate, beats_random, growth)


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
    """Wilson's (1927) interval of a share of n; written out, since to import `scipy.stats` takes a report a second."""
    z2 = special.ndtri((1 + confidence) / 2) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return float(centre - reach), float(centre + reach)
