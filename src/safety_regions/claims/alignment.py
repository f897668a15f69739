"""How alike a model's regions are before and after its alignment, beside two samples of one set.

    iou      mean over safety sets of the IoU of the set's regions before and after, from the same prompts
    crossed  the same of one half of the set's prompts before and the other half after: no prompt in common
    ceiling  mean over safety sets of the IoU of the set's two halves, before and after alignment each
    apart    mean of both ceilings less crossed: how much alignment changes a region beside other prompts of its set
    place    (crossed - floor) / (mean of both ceilings - floor): 0 at chance, 1 as alike as two samples of one set
    unlimited  crossed if both halves were of unlimited prompts (`safety_regions.claims.latent`)
    fixed    iou with responses that are the same before and after, of the sets that have such regions
    harmless  mean over utility sets of the IoU of the set's regions before and after, from the same prompts

Halves are of as many prompts all three times, so crossed, ceiling, apart and place can be compared. Intervals leave out
one safety set at a time (`safety_regions.claims.jackknife`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64

from safety_regions.claims.estimates import IOU_BOUNDS
from safety_regions.claims.halves import COLUMNS as HALVES_COLUMNS
from safety_regions.claims.jackknife import NAN, Estimate, Left, jackknife, mean, ratio, set_means
from safety_regions.claims.latent import correlation_of_iou, iou_of_correlation, share_of_floor
from safety_regions.config.variants import HALF, OWN, RESPONSES, Variant

OfSets = Float64[np.ndarray, " sets"]
"""A number of each safety set; NaN where it is not known."""
SIDES = ("before", "after")
WITH_INTERVAL = ("iou", "crossed", "apart", "place", "unlimited")
COLUMNS = [
    "model",
    "base",
    "method",
    "stage",
    "q",
    "p",
    "iou",
    "iou_low",
    "iou_high",
    "floor",
    "crossed",
    "crossed_low",
    "crossed_high",
    "crossed_floor",
    "ceiling_before",
    "ceiling_after",
    "apart",
    "apart_low",
    "apart_high",
    "place",
    "place_low",
    "place_high",
    "unlimited",
    "unlimited_low",
    "unlimited_high",
    "half_prompts",
    "fixed",
    "harmless",
    "refused_before",
    "refused_after",
    "n_sets",
]


@dataclass(frozen=True)
class Aligned:
    """What there is of one method on a model before and after its alignment."""

    model: str
    base: str
    """The model before."""
    method: str
    pairs: pd.DataFrame
    """Of `safety_regions.overlap.alignment.compare`."""
    halves: Mapping[str, pd.DataFrame]
    """Before and after: the rows of halves.csv (`safety_regions.claims.halves`)."""
    refused: Mapping[str, float]
    """Before and after: the share of the safety sets' prompts that the model refuses."""


def alignment_rows(of: Aligned, sets: list[str], confidence: float) -> pd.DataFrame:
    """The rows of alignment.csv of one model and method, one per stage and fraction q; `sets`: the safety sets.

    What halves, fixed responses and utility sets would tell is NaN where the run has none.
    """
    rows = []
    fractions = of.pairs[["stage", "q", "p"]].drop_duplicates()
    for stage, q, p in fractions.itertuples(index=False):
        pairs = of.pairs[of.pairs["stage"].eq(stage) & of.pairs["q"].eq(q)]
        halves = [_own_halves(of.halves[side], stage, q, sets) for side in SIDES]
        row = {"model": of.model, "base": of.base, "method": of.method, "stage": stage, "q": q, "p": p}
        row |= _estimated(pairs, halves, sets, confidence)
        row |= {f"refused_{side}": of.refused[side] for side in SIDES} | {"n_sets": len(sets)}
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


@dataclass(frozen=True)
class _Halves:
    """IoU, chance floor and number of prompts of the two halves of each safety set."""

    iou: OfSets
    floor: OfSets
    prompts: OfSets


def _own_halves(table: pd.DataFrame, stage: str, q: float, sets: list[str]) -> _Halves:
    table = table.reindex(columns=HALVES_COLUMNS)
    own = table[table["stage"].eq(stage) & table["q"].eq(q) & table["a"].eq(table["b"])]
    return _Halves(*(_by_set(own, "a", column, sets) for column in ("iou", "floor", "half_prompts")))


def _estimated(pairs: pd.DataFrame, halves: list[_Halves], sets: list[str], confidence: float) -> dict[str, float]:
    which = pairs["variant_before"].map(lambda label: Variant.parse("", label).which)
    same, safety = pairs["variant_before"].eq(pairs["variant_after"]), ~pairs["harmless"].astype(bool)
    own, crossed, fixed = which.eq(OWN), which.eq(HALF) & ~same, which.eq(RESPONSES)
    iou, floor = (_by_set(pairs[own & safety], "set", column, sets) for column in ("iou", "floor_iou"))
    half_iou, half_floor = (_by_set(pairs[crossed], "set", column, sets) for column in ("iou", "floor_iou"))
    before, after = halves
    ceiling = (before.iou + after.iou) / 2
    found = {
        "iou": jackknife(_means(iou), confidence, IOU_BOUNDS),
        "crossed": jackknife(_means(half_iou), confidence, IOU_BOUNDS),
        "apart": jackknife(_means(ceiling - half_iou), confidence, (-1.0, 1.0)),
        **dict.fromkeys(("place", "unlimited"), Estimate(NAN, n_sets=len(sets))),
    }
    if all(jackknife(_means(of.iou - of.floor), confidence).low > 0 for of in halves):
        place = ratio(_means(half_iou - half_floor), _means(ceiling - half_floor))
        found["place"] = jackknife(place, confidence)
        found["unlimited"] = jackknife(_unlimited(half_iou, half_floor, before, after), confidence, IOU_BOUNDS)
    ends = {f"{name}{end}": getattr(found[name], of) for name in WITH_INTERVAL for end, of in _ENDS}
    return ends | {
        "floor": mean(floor),
        "crossed_floor": mean(half_floor),
        "ceiling_before": mean(before.iou),
        "ceiling_after": mean(after.iou),
        "half_prompts": mean(np.concatenate([before.prompts, after.prompts])),
        "fixed": mean(_by_set(pairs[fixed & safety], "set", "iou", sets)),
        "harmless": mean(pairs.loc[own & ~safety, "iou"].to_numpy(float)),
    }


_ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))


def _by_set(rows: pd.DataFrame, key: str, column: str, sets: list[str]) -> OfSets:
    """The mean of a column for each set."""
    return rows.groupby(key)[column].mean().reindex(sets).to_numpy(float)


def _means(values: OfSets) -> Left:
    return set_means(np.diag(values))


def _unlimited(iou: OfSets, floor: OfSets, before: _Halves, after: _Halves) -> Left:
    """As `safety_regions.claims.estimates.unlimited_means`, of pairs of a set before and the same set after."""
    reliability = [correlation_of_iou(of.iou, share_of_floor(of.floor)).clip(0) for of in (before, after)]
    attenuated = iou_of_correlation(np.sqrt(reliability[0] * reliability[1]), share_of_floor(floor))
    of_mean = share_of_floor(_means(floor))
    found, most = correlation_of_iou(np.stack([_means(iou), _means(attenuated)]), of_mean)
    return iou_of_correlation(ratio(found, most).clip(-1, 1), of_mean)
