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

import numpy as np
import pandas as pd
from jaxtyping import Float64

from safety_regions.claims.constrained import Constrained
from safety_regions.claims.jackknife import (
    NAN,
    Estimate,
    Left,
    jackknife,
    mean,
    pair_means,
    ratio,
    set_means,
    square,
    triple_means,
)
from safety_regions.claims.latent import correlation_of_iou, iou_of_correlation, share_of_floor
from safety_regions.claims.placebo import placebo_ious, taken
from safety_regions.claims.rows import at, at_q
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

    def without(self, name: str) -> "Tables":
        """The tables about all sets but one; what others have in common with it stays in `nway`."""
        fewer = {}
        for table in ("pairs", "replicates", "levels", "placebo"):
            of = getattr(self, table)
            members = [column for column in ("a", "b", "removed") if column in of]
            fewer[table] = of[of[members].ne(name).all(axis=1)] if len(of) else of
        return replace(self, **fewer, sets=[set_ for set_ in self.sets if set_ != name])


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


def measure(tables: Tables, confidence: float) -> Measured:
    """All estimates of one model and method. What the tables do not tell is NaN."""
    sets = tables.sets
    pairs = {stage: at(tables.pairs, stage, tables.q, tables.p) for stage in STAGES}
    replicates = {stage: at(tables.replicates, stage, tables.q, tables.p) for stage in STAGES}
    return Measured(
        stages={stage: _stage(pairs[stage], replicates[stage], sets, confidence) for stage in STAGES},
        refinement=refinement(tables, confidence),
    )


def measure_along_p(tables: Tables, measured: Measured, confidence: float) -> dict[float, Measured]:
    """All estimates at every fraction p of refinement, ascending; `measured`: those at the tables' own."""
    fractions = sorted(float(p) for p in tables.pairs["p"].dropna().unique()) if len(tables.pairs) else []
    return {p: measured if p == tables.p else measure(replace(tables, p=p), confidence) for p in fractions}


def refinement(tables: Tables, confidence: float) -> Refinement:
    """What refinement at the tables' p changes."""
    sets = tables.sets
    raw_rows, refined_rows = (at(tables.pairs, stage, tables.q, tables.p) for stage in STAGES)
    raw, refined = square(raw_rows, "iou", sets), square(refined_rows, "iou", sets)
    matched = square(size_matched(tables.levels, refined_rows), "iou", sets)
    # A pair that is empty after refinement has no difference, and counts in neither mean of the ratio.
    share_left = ratio(pair_means(refined), pair_means(raw + 0 * refined))
    without_third = placebo_ious(at_q(tables.placebo, tables.q), raw_rows, refined_rows, sets)
    beyond_placebo = refined[:, :, None] - without_third
    placebo = triple_means(without_third)
    # Of the pairs and third sets that have a placebo.
    placebo_left = ratio(placebo, triple_means(raw[:, :, None] + 0 * without_third))
    return Refinement(
        difference=jackknife(pair_means(refined - raw), confidence, (-1.0, 1.0)),
        drop=jackknife(1 - share_left, confidence, (-np.inf, 1.0)),
        taken=float(pair_means(taken(raw_rows, refined_rows, sets))[0]),
        size_matched=float(pair_means(matched)[0]),
        beyond_size=jackknife(pair_means(refined - matched), confidence, (-1.0, 1.0)),
        placebo=jackknife(placebo, confidence, IOU_BOUNDS),
        placebo_drop=float(1 - placebo_left[0]),
        beyond_placebo=jackknife(triple_means(beyond_placebo), confidence, (-1.0, 1.0)),
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
        rows.append(row | (_controls(measured.refinement) if refined else {}) | {"n_sets": len(tables.sets)})
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def _controls(of: Refinement) -> dict[str, float]:
    placebo = {"placebo_iou": of.placebo.value, "placebo_low": of.placebo.low, "placebo_high": of.placebo.high}
    return {"taken": of.taken, "size_matched_iou": of.size_matched, **placebo}
