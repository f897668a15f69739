"""Where the overlap of different sets stands: between chance (floor) and two samples of one set (ceiling).

    ceiling  mean over sets of the IoU of regions from two disjoint halves of the set's prompts
    between  mean over pairs of sets of the IoU of their halves, four for each pair and split: as many prompts as the
             ceiling
    place    (between - floor) / (ceiling - floor): 0 at chance, 1 as alike as two samples of one set
    unlimited  mean IoU over pairs of sets that unlimited prompts would give (`safety_regions.claims.latent`)
    apart    ceiling - between: how much less alike different sets are than two samples of one, at as many prompts
    seeds    mean over sets of the IoU of regions from different draws: a ceiling at all n_samples prompts; draws of a
             small set share prompts, which raises it

The place depends on the number of prompts: with few of them the ceiling comes down to the IoU between sets, and the
place goes up. It is of half as many prompts as the IoU, whose number `half_prompts` tells. Where the ceiling is not
above chance (the interval of the difference reaches zero), halves tell nothing: place and unlimited are undefined.

Every interval leaves out one set at a time, from pairs and halves alike (`safety_regions.claims.jackknife`).
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float64

from safety_regions.claims.jackknife import NAN, Estimate, Left, jackknife, mean, pair_means, ratio, set_means, square
from safety_regions.claims.latent import correlation_of_iou, iou_of_correlation, share_of_floor
from safety_regions.claims.rows import at
from safety_regions.claims.size_control import size_matched
from safety_regions.overlap.counts import STAGES

IOU_BOUNDS = (0.0, 1.0)
ESTIMATES = ("iou", "between", "ceiling", "place", "unlimited")
"""Those of a `Stage` that have an interval in estimates.csv."""
COLUMNS = [
    "model",
    "method",
    "stage",
    "q",
    "p",
    "iou",
    "iou_low",
    "iou_high",
    "floor",
    "between",
    "between_low",
    "between_high",
    "ceiling",
    "ceiling_low",
    "ceiling_high",
    "place",
    "place_low",
    "place_high",
    "unlimited",
    "unlimited_low",
    "unlimited_high",
    "half_prompts",
    "seeds_iou",
    "seeds_shared_prompts",
    "size_matched_iou",
    "n_sets",
]


@dataclass(frozen=True)
class Tables:
    """What there is of one model and method: overlap tables over the whole model, and what may be missing (empty
    tables).
    """

    pairs: pd.DataFrame
    nway: pd.DataFrame
    replicates: pd.DataFrame
    evaluated: pd.DataFrame
    sets: list[str]
    """The safety sets."""
    q: float
    p: float
    reads_responses: bool = True
    """Whether the method looks at responses, or at prompts alone."""
    sizes_vary: bool = True
    """Whether its regions are larger at a larger fraction q."""

    def without(self, name: str) -> "Tables":
        """The tables about all sets but one; what others have in common with it stays in `nway`."""
        pairs, replicates = (
            of[(of["a"] != name) & (of["b"] != name)] if len(of) else of for of in (self.pairs, self.replicates)
        )
        return replace(self, pairs=pairs, replicates=replicates, sets=[set_ for set_ in self.sets if set_ != name])


@dataclass(frozen=True)
class Stage:
    """Estimates of one stage, IoU in [0, 1]."""

    iou: Estimate
    floor: float
    """Mean chance floor of the pairs of sets."""
    above_floor: Estimate
    """IoU less the floor of each pair."""
    ceiling: Estimate
    between: Estimate
    apart: Estimate
    """Ceiling less between."""
    place: Estimate
    unlimited: Estimate
    half_prompts: float
    """Mean number of prompts of a half: what ceiling, between, apart and place are of."""
    seeds: float
    seeds_shared_prompts: float


@dataclass(frozen=True)
class Measured:
    """Both stages, and what refinement changes: means over the same pairs."""

    stages: dict[str, Stage]
    difference: Estimate
    """Refined less raw IoU of the same pair."""
    drop: Estimate
    """1 - refined / raw, of the means."""
    size_matched: float
    """Mean IoU of raw regions as small as the refined ones."""
    beyond_size: Estimate
    """Refined less size-matched raw IoU of the same pair."""


def measure(tables: Tables, confidence: float) -> Measured:
    """All estimates of one model and method. What the tables do not tell is NaN."""
    sets = tables.sets
    pairs = {stage: at(tables.pairs, stage, tables.q, tables.p) for stage in STAGES}
    raw, refined = (square(pairs[stage], "iou", sets) for stage in STAGES)
    matched = square(size_matched(at(tables.pairs, "raw", None, tables.p), pairs["refined"]), "iou", sets)
    # A pair that is empty after refinement has no difference, and counts in neither mean of the ratio.
    share_left = ratio(pair_means(refined), pair_means(raw + 0 * refined))
    replicates = {stage: at(tables.replicates, stage, tables.q, tables.p) for stage in STAGES}
    return Measured(
        stages={stage: _stage(pairs[stage], replicates[stage], sets, confidence) for stage in STAGES},
        difference=jackknife(pair_means(refined - raw), confidence, (-1.0, 1.0)),
        drop=jackknife(1 - share_left, confidence, (-np.inf, 1.0)),
        size_matched=float(pair_means(matched)[0]),
        beyond_size=jackknife(pair_means(refined - matched), confidence, (-1.0, 1.0)),
    )


def _stage(pairs: pd.DataFrame, replicates: pd.DataFrame, sets: list[str], confidence: float) -> Stage:
    iou, floor = (square(pairs, column, sets) for column in ("iou", "floor_iou"))
    halves, seeds = (
        replicates[replicates["kind"] == kind] if len(replicates) else pairs[:0] for kind in ("halves", "seeds")
    )
    half_iou, half_floor = square(halves, "iou", sets), square(halves, "floor_iou", sets)
    ceiling, between, chance = set_means(half_iou), pair_means(half_iou), pair_means(half_floor)
    told = jackknife(ceiling - chance, confidence).low > 0
    undefined = Estimate(NAN, n_sets=len(sets))
    unlimited = unlimited_means(half_iou, half_floor)
    return Stage(
        iou=jackknife(pair_means(iou), confidence, IOU_BOUNDS),
        floor=float(pair_means(floor)[0]),
        above_floor=jackknife(pair_means(iou - floor), confidence, (-1.0, 1.0)),
        ceiling=jackknife(ceiling, confidence, IOU_BOUNDS),
        between=jackknife(between, confidence, IOU_BOUNDS),
        apart=jackknife(ceiling - between, confidence, (-1.0, 1.0)),
        place=jackknife(ratio(between - chance, ceiling - chance), confidence) if told else undefined,
        unlimited=jackknife(unlimited, confidence, IOU_BOUNDS) if told else undefined,
        half_prompts=mean(halves[["n_samples_a", "n_samples_b"]].to_numpy(float).ravel()) if len(halves) else NAN,
        seeds=float(set_means(square(seeds, "iou", sets))[0]),
        seeds_shared_prompts=mean(seeds["shared_prompts"].to_numpy(float)) if len(seeds) else NAN,
    )


def unlimited_means(half_iou: Float64[np.ndarray, "sets sets"], half_floor: Float64[np.ndarray, "sets sets"]) -> Left:
    """Mean IoU over pairs of sets if each set had unlimited prompts, from the IoU of their halves.

    Corrected for attenuation is the mean, not each pair: a pair's own correction is unsure where noise is large, and
    IoU bends so much near 1 that the mean of unsure ones is biased.
    """
    share = share_of_floor(half_floor)
    # By chance two halves may be less alike than random regions are.
    reliability = np.diagonal(correlation_of_iou(half_iou, share)).clip(0)
    attenuated = iou_of_correlation(np.sqrt(np.outer(reliability, reliability)), share)
    of_mean = share_of_floor(pair_means(half_floor))
    found, most = (correlation_of_iou(pair_means(iou), of_mean) for iou in (half_iou, attenuated))
    return iou_of_correlation(ratio(found, most).clip(-1, 1), of_mean)


def estimate_rows(model: str, method: str, tables: Tables, measured: Measured) -> pd.DataFrame:
    """The rows of estimates.csv of one model and method, one per stage."""
    rows = []
    for name, stage in measured.stages.items():
        refined = name == "refined"
        row = {"model": model, "method": method, "stage": name, "q": tables.q, "p": tables.p if refined else NAN}
        for column in ESTIMATES:
            estimate: Estimate = getattr(stage, column)
            row |= {column: estimate.value, f"{column}_low": estimate.low, f"{column}_high": estimate.high}
        row |= {"half_prompts": stage.half_prompts}
        row |= {"floor": stage.floor, "seeds_iou": stage.seeds, "seeds_shared_prompts": stage.seeds_shared_prompts}
        row |= {"size_matched_iou": measured.size_matched if refined else NAN, "n_sets": len(tables.sets)}
        rows.append(row)
    return pd.DataFrame(rows)[COLUMNS]
