"""Where the overlap of different sets stands: between chance (floor) and two samples of one set (ceiling).

    ceiling  mean over sets of the IoU of regions from two disjoint halves of the set's prompts
    between  mean over pairs of sets of the IoU of their halves, four for each pair and split: as many prompts as the
             ceiling
    place    (between - floor) / (ceiling - floor): 0 at chance, 1 as alike as two samples of one set
    seeds    mean over sets of the IoU of regions from different draws: a ceiling at all n_samples prompts; draws of a
             small set share prompts, which raises it

Every interval leaves out one set at a time, from pairs and halves alike (`safety_regions.claims.jackknife`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from safety_regions.claims.jackknife import NAN, Estimate, jackknife, mean, pair_means, ratio, set_means, square
from safety_regions.claims.rows import at
from safety_regions.claims.size_control import size_matched
from safety_regions.overlap.counts import STAGES

IOU_BOUNDS = (0.0, 1.0)
ESTIMATES = ("iou", "between", "ceiling", "place")
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
    place: Estimate
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
    half_iou = square(halves, "iou", sets)
    ceiling, between, chance = set_means(half_iou), pair_means(half_iou), pair_means(square(halves, "floor_iou", sets))
    return Stage(
        iou=jackknife(pair_means(iou), confidence, IOU_BOUNDS),
        floor=float(pair_means(floor)[0]),
        above_floor=jackknife(pair_means(iou - floor), confidence, (-1.0, 1.0)),
        ceiling=jackknife(ceiling, confidence, IOU_BOUNDS),
        between=jackknife(between, confidence, IOU_BOUNDS),
        place=jackknife(ratio(between - chance, ceiling - chance), confidence),
        seeds=float(set_means(square(seeds, "iou", sets))[0]),
        seeds_shared_prompts=mean(seeds["shared_prompts"].to_numpy(float)) if len(seeds) else NAN,
    )


def estimate_rows(model: str, method: str, tables: Tables, measured: Measured) -> pd.DataFrame:
    """The rows of estimates.csv of one model and method, one per stage."""
    rows = []
    for name, stage in measured.stages.items():
        refined = name == "refined"
        row = {"model": model, "method": method, "stage": name, "q": tables.q, "p": tables.p if refined else NAN}
        for column in ESTIMATES:
            estimate: Estimate = getattr(stage, column)
            row |= {column: estimate.value, f"{column}_low": estimate.low, f"{column}_high": estimate.high}
        row |= {"floor": stage.floor, "seeds_iou": stage.seeds, "seeds_shared_prompts": stage.seeds_shared_prompts}
        row |= {"size_matched_iou": measured.size_matched if refined else NAN, "n_sets": len(tables.sets)}
        rows.append(row)
    return pd.DataFrame(rows)[COLUMNS]
