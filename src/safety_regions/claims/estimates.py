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

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float64

from safety_regions.claims.constrained import Constrained
from safety_regions.claims.jackknife import (
    NAN,
    Estimate,
    Left,
    jackknife,
    pair_means,
    ratio,
    set_means,
    triple_means,
)
from safety_regions.claims.latent import correlation_of_iou, iou_of_correlation, share_of_floor
from safety_regions.claims.matrices import Grid, Matrices, StageMatrices, Sums, Together

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
    "taken",
    "size_matched_iou",
    "placebo_iou",
    "placebo_low",
    "placebo_high",
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
    levels: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Raw pairs at every two fractions (`safety_regions.overlap.controls.level_table`)."""
    placebo: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Pairs without a third safety set (`safety_regions.overlap.controls.placebo_table`)."""
    outcomes: pd.DataFrame = field(default_factory=pd.DataFrame)
    """What became of every prompt in the evaluation."""
    constrained: Constrained = field(default_factory=Constrained)
    """Fine-tunings under a constraint."""

    @cached_property
    def grid(self) -> Grid:
        """The tables of regions as matrices over the safety sets."""
        return Grid(self.pairs, self.replicates, self.nway, self.levels, self.placebo, self.sets, self.q, self.p)

    def without(self, name: str) -> "Tables":
        """Of all sets but one: rows about it tell nothing then, but what others have in common with it in `nway`."""
        return replace(self, sets=[set_ for set_ in self.sets if set_ != name])


@dataclass(frozen=True)
class Stage:
    """Estimates of one stage, IoU in [0, 1]."""

    is_compared: bool
    """Whether pairs of regions were compared, be they empty or not."""
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
class Refinement:
    """What refinement changes, and what it is held against: means over the same pairs."""

    difference: Estimate
    """Refined less raw IoU of the same pair."""
    drop: Estimate
    """1 - refined / raw, of the means."""
    taken: float
    """Mean share of a pair's regions that refinement takes out."""
    size_matched: float
    """Mean IoU of raw regions as small as the refined ones."""
    beyond_size: Estimate
    """Refined less size-matched raw IoU of the same pair."""
    placebo: Estimate
    """IoU without as much of a third safety set, mean over pairs and third sets."""
    placebo_drop: float
    """1 - placebo / raw, of the means."""
    beyond_placebo: Estimate
    """Refined IoU less that of the same pair without as much of a third safety set."""


@dataclass(frozen=True)
class Measured:
    """Both stages, and what lies between them."""

    stages: dict[str, Stage]
    refinement: Refinement
    together: Together


def measure(tables: Tables, confidence: float) -> Measured:
    """All estimates of one model and method. What the tables do not tell is NaN."""
    return estimates(tables.grid.own, confidence)


def estimates(of: Matrices, confidence: float) -> Measured:
    """All estimates at one q and p, of the sets that the matrices are of."""
    return Measured(
        stages={name: _stage(stage, confidence) for name, stage in of.stages.items()},
        refinement=_refinement(of, confidence),
        together=of.together,
    )


def measure_along_p(tables: Tables, measured: Measured, confidence: float) -> dict[float, Measured]:
    """All estimates at every fraction p of refinement, ascending; `measured`: those at the tables' own."""
    grid = tables.grid
    return {p: measured if p == tables.p else estimates(grid.at_p(p), confidence) for p in grid.all_p}


def _refinement(of: Matrices, confidence: float) -> Refinement:
    raw, refined = of.stages["raw"].iou, of.stages["refined"].iou
    # A pair that is empty after refinement has no difference, and counts in neither mean of the ratio.
    share_left = ratio(pair_means(refined), pair_means(raw + 0 * refined))
    placebo = triple_means(of.placebo)
    # Of the pairs and third sets that have a placebo.
    placebo_left = ratio(placebo, triple_means(raw[:, :, None] + 0 * of.placebo))
    return Refinement(
        difference=jackknife(pair_means(refined - raw), confidence, (-1.0, 1.0)),
        drop=jackknife(1 - share_left, confidence, (-np.inf, 1.0)),
        taken=float(pair_means(of.taken)[0]),
        size_matched=float(pair_means(of.size_matched)[0]),
        beyond_size=jackknife(pair_means(refined - of.size_matched), confidence, (-1.0, 1.0)),
        placebo=jackknife(placebo, confidence, IOU_BOUNDS),
        placebo_drop=float(1 - placebo_left[0]),
        beyond_placebo=jackknife(triple_means(refined[:, :, None] - of.placebo), confidence, (-1.0, 1.0)),
    )


def _stage(of: StageMatrices, confidence: float) -> Stage:
    ceiling, between, chance = set_means(of.half_iou), pair_means(of.half_iou), pair_means(of.half_floor)
    told = jackknife(ceiling - chance, confidence).low > 0
    undefined = Estimate(NAN, n_sets=len(of.iou))
    return Stage(
        is_compared=bool(of.n_rows.any()),
        iou=jackknife(pair_means(of.iou), confidence, IOU_BOUNDS),
        floor=float(pair_means(of.floor)[0]),
        above_floor=jackknife(pair_means(of.iou - of.floor), confidence, (-1.0, 1.0)),
        ceiling=jackknife(ceiling, confidence, IOU_BOUNDS),
        between=jackknife(between, confidence, IOU_BOUNDS),
        apart=jackknife(ceiling - between, confidence, (-1.0, 1.0)),
        place=jackknife(ratio(between - chance, ceiling - chance), confidence) if told else undefined,
        unlimited=jackknife(unlimited_means(of.half_iou, of.half_floor), confidence, IOU_BOUNDS) if told else undefined,
        half_prompts=_mean(of.half_prompts),
        seeds=float(set_means(of.seeds_iou)[0]),
        seeds_shared_prompts=_mean(of.shared_prompts),
    )


def _mean(sums: Sums) -> float:
    """Of all values of all pairs."""
    total, count = sums.sum(axis=(1, 2))
    return float(total / count) if count else NAN


def unlimited_means(half_iou: Float64[np.ndarray, "sets sets"], half_floor: Float64[np.ndarray, "sets sets"]) -> Left:
    """Mean IoU over pairs of sets if each set had unlimited prompts, from the IoU of their halves.

    Corrected for attenuation is the mean, not each pair: a pair's own correction is unsure where noise is large, and
    IoU bends so much near 1 that the mean of unsure ones is biased.
    """
    share = share_of_floor(half_floor)
    # By chance two halves may be less alike than random regions are.
    reliability = correlation_of_iou(np.diagonal(half_iou), np.diagonal(share)).clip(0)
    attenuated = iou_of_correlation(np.sqrt(np.outer(reliability, reliability)), share)
    of_mean = share_of_floor(pair_means(half_floor))
    found, most = correlation_of_iou(np.stack([pair_means(half_iou), pair_means(attenuated)]), of_mean)
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
        rows.append(row | (_controls(measured.refinement) if refined else {}) | {"n_sets": len(tables.sets)})
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def _controls(of: Refinement) -> dict[str, float]:
    placebo = {"placebo_iou": of.placebo.value, "placebo_low": of.placebo.low, "placebo_high": of.placebo.high}
    return {"taken": of.taken, "size_matched_iou": of.size_matched, **placebo}
