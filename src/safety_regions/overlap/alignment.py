"""Regions of one model before and after its alignment: how far they are the same elements.

A region is refined in its own model, with the union of that model's utility regions. The chance floor is that of
`safety_regions.overlap.chance`: random regions of both sizes share sum(s_a s_b |open to both|) elements on average.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Int64

from safety_regions.config.variants import HALF, Variant
from safety_regions.kernels import n_threads
from safety_regions.overlap.chance import Placed, expected_iou, placed
from safety_regions.overlap.counts import STAGES
from safety_regions.progress import progress
from safety_regions.regions.format import Header, Region, Words, at_least, common_header, open_region
from safety_regions.regions.masks import refine, size_of
from safety_regions.regions.select import level_of

BEFORE, AFTER = 0, 1
Counted = Int64[np.ndarray, "stages fractions matrices"]


class Pair(NamedTuple):
    """Two regions of one set that are compared, by what they were identified from."""

    before: Variant
    after: Variant

    @property
    def of(self) -> tuple[tuple[int, Variant], tuple[int, Variant]]:
        """The model and variant of both."""
        return (BEFORE, self.before), (AFTER, self.after)


def pairs_of(variants: Iterable[Variant]) -> list[Pair]:
    """Each with itself, so both from the same prompts; and each half with the other one of its split, so that they have
    no prompt in common.
    """
    pairs = []
    for variant in variants:
        pairs.append(Pair(variant, variant))
        if variant.which == HALF:
            pairs.append(Pair(variant, Variant(variant.set, HALF, variant.number, 1 - variant.half)))
    return pairs


@dataclass(frozen=True)
class _Counts:
    """What both models' regions hold; counted are elements of each matrix."""

    header: Header
    sizes: dict[tuple[int, Variant], Counted]
    shared: dict[Pair, Counted]
    closed: Int64[np.ndarray, "three matrices"]
    """In the utility regions of the model before, of that after, and of either."""


def compare(regions: Sequence[Mapping[Variant, Path]], utility: Sequence[str], p: float) -> pd.DataFrame:
    """One row per pair of `pairs_of`, stage and fraction q of the grid, over the whole model.

    `regions`: the files before and after, of the same variants, among them the own one of each utility set. Those of
    utility sets have raw rows alone: refined with themselves they are empty. Undefined ratios (both empty) are NaN.
    Raises `UserError` for regions that do not cover the same matrices with the same grid and scope.
    """
    with ExitStack() as stack:
        opened = [{of: stack.enter_context(open_region(path)) for of, path in side.items()} for side in regions]
        header = common_header([region for side in opened for region in side.values()])
        counts = _empty(header, pairs_of(regions[BEFORE]))
        work = _Work(opened, [Variant(name) for name in utility], level_of(header.grid, p))
        with progress(len(header.shapes), "alignment", "matrices") as bar, ThreadPoolExecutor(n_threads()) as pool:
            for _ in pool.map(lambda at: _count_matrix(counts, work, *at), enumerate(header.shapes)):
                bar.update(1)
    return pd.DataFrame(_rows(counts, {*utility}, p))


@dataclass(frozen=True)
class _Work:
    opened: Sequence[Mapping[Variant, Region]]
    utility: Sequence[Variant]
    level: int
    """At which utility regions are taken out."""


def _empty(header: Header, pairs: list[Pair]) -> _Counts:
    shape = (len(STAGES), len(header.grid), len(header.shapes))
    sizes = {of: np.zeros(shape, np.int64) for pair in pairs for of in pair.of}
    shared = {pair: np.zeros(shape, np.int64) for pair in pairs}
    return _Counts(header, sizes, shared, np.zeros((3, len(header.shapes)), np.int64))


def _count_matrix(counts: _Counts, work: _Work, number: int, name: str) -> None:
    """Fill in the counts of one matrix."""
    closed = [_closed(side, work, name) for side in work.opened]
    counts.closed[:, number] = [size_of(words) for words in (*closed, closed[BEFORE] | closed[AFTER])]
    by_set: dict[str, list[Pair]] = {}
    for pair in counts.shared:
        by_set.setdefault(pair.before.set, []).append(pair)
    for pairs in by_set.values():
        planes = {of: work.opened[of[0]][of[1]].planes(name) for pair in pairs for of in pair.of}
        for k, q in enumerate(counts.header.grid):
            raw = {of: at_least(own, level_of(counts.header.grid, q)) for of, own in planes.items()}
            refined = {of: refine(words, closed[of[0]]) for of, words in raw.items()}
            for stage, masks in enumerate((raw, refined)):
                for of, words in masks.items():
                    counts.sizes[of][stage, k, number] = size_of(words)
                for pair in pairs:
                    before, after = pair.of
                    counts.shared[pair][stage, k, number] = size_of(masks[before] & masks[after])


def _closed(side: Mapping[Variant, Region], work: _Work, name: str) -> Words:
    return reduce(np.bitwise_or, [at_least(side[of].planes(name), work.level) for of in work.utility])


def _rows(counts: _Counts, utility: set[str], p: float) -> Iterator[dict]:
    for pair, shared in counts.shared.items():
        harmless = pair.before.set in utility
        for stage, name in enumerate(STAGES[:1] if harmless else STAGES):
            n_open = _open(counts, name)
            for k, q in enumerate(counts.header.grid):
                size_before, size_after = (int(counts.sizes[of][stage, k].sum()) for of in pair.of)
                intersection = int(shared[stage, k].sum())
                union = size_before + size_after - intersection
                random = [_random(counts, of, stage, k, n_open[of[0]]) for of in pair.of]
                yield {
                    "set": pair.before.set,
                    "harmless": harmless,
                    "variant_before": pair.before.label,
                    "variant_after": pair.after.label,
                    "stage": name,
                    "q": q,
                    "p": p if name == "refined" else np.nan,
                    "size_before": size_before,
                    "size_after": size_after,
                    "intersection": intersection,
                    "union": union,
                    "n_elements": int(n_open[-1].sum()),
                    "iou": intersection / union if union else np.nan,
                    "floor_iou": expected_iou(*random, both=n_open[-1], open_a=n_open[BEFORE], open_b=n_open[AFTER]),
                }


def _open(counts: _Counts, stage: str) -> Int64[np.ndarray, "three matrices"]:
    """Elements of each matrix that are open to regions before, to those after, and to both."""
    n_elements = np.array([rows * columns for rows, columns in counts.header.shapes.values()], np.int64)
    return np.broadcast_to(n_elements, counts.closed.shape) if stage == "raw" else n_elements - counts.closed


def _random(
    counts: _Counts, of: tuple[int, Variant], stage: int, k: int, n_open: Int64[np.ndarray, " matrices"]
) -> Placed:
    """The chance with which a random region in this one's place holds an open element of each matrix."""
    sizes, header = counts.sizes[of], counts.header
    return placed(header.granularity, header.region_shape, held=sizes[stage, k], raw=sizes[0, k], n_open=n_open)
