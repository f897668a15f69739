"""The IoU of different sets against the number of prompts that regions are identified from.

Few prompts make regions less alike, so an IoU is one of a number of prompts. Beside it stands what unlimited prompts
would give by the sets' halves (`safety_regions.claims.latent`): more prompts should come nearer to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from safety_regions.claims.estimates import IOU_BOUNDS
from safety_regions.claims.jackknife import jackknife, pair_means, square
from safety_regions.config.variants import Variant

FIRST, HALVES, ALL = "first", "halves", "all"
"""Where regions of so many prompts come from: the first ones of each set, halves of different sets, and all of them."""
COLUMNS = ["model", "method", "stage", "q", "p", "n_prompts", "prompts", "iou", "iou_low", "iou_high", "floor"]
COLUMNS += ["unlimited", "unlimited_low", "unlimited_high", "n_sets"]


@dataclass(frozen=True)
class Numbered:
    """What there is of one model and method."""

    estimates: pd.DataFrame
    """Its rows of estimates.csv, one per stage."""
    replicates: pd.DataFrame
    """Of `safety_regions.overlap.replicates.replicate_table`."""
    sets: list[str]
    """The safety sets."""
    n_prompts: int
    """Of each set, in all."""


def prompt_number_rows(of: Numbered, confidence: float) -> pd.DataFrame:
    """The rows of prompt_numbers.csv of one model and method, one per stage and number of prompts, ascending.

    Mean IoU over pairs of sets and chance floor at the run's q and p, with a delete-one-set interval. Empty where no
    region is from a part of the prompts but halves.
    """
    sizes = of.replicates[of.replicates["kind"].eq("sizes")] if len(of.replicates) else of.replicates
    if sizes.empty:
        return pd.DataFrame(columns=COLUMNS)
    rows = [row for estimate in of.estimates.to_dict("records") for row in _of_stage(of, estimate, sizes, confidence)]
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def _of_stage(of: Numbered, estimate: dict, sizes: pd.DataFrame, confidence: float) -> Iterator[dict]:
    shared = ("model", "method", "stage", "q", "p", "unlimited", "unlimited_low", "unlimited_high", "n_sets")
    known = {name: estimate[name] for name in shared}
    at = sizes[sizes["stage"].eq(estimate["stage"]) & sizes["q"].eq(estimate["q"])]
    found: list[tuple[Any, ...]] = []
    for label, rows in at.groupby("variant_a", sort=False):
        iou = jackknife(pair_means(square(rows, "iou", of.sets)), confidence, IOU_BOUNDS)
        floor = float(pair_means(square(rows, "floor_iou", of.sets))[0])
        found.append((Variant.parse("", str(label)).number, FIRST, iou.value, iou.low, iou.high, floor))
    for n, prompts, name in ((estimate["half_prompts"], HALVES, "between"), (of.n_prompts, ALL, "iou")):
        if not np.isnan(estimate[name]):
            ends = (estimate[f"{name}{end}"] for end in ("", "_low", "_high"))
            found.append((n, prompts, *ends, estimate["floor"]))
    names = ("n_prompts", "prompts", "iou", "iou_low", "iou_high", "floor")
    for row in sorted(found):
        yield known | dict(zip(names, row, strict=True))
