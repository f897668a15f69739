"""Regions of different methods compared on the weights they own: what a neuron or a layer owns counts weight by weight.

Refinement takes place in a method's own granularity, with the union of the method's own utility regions, before it is
expanded to weights (`safety_regions.regions.owned_weights`).

The chance floor is that of `safety_regions.overlap.chance`, with the chances s of elements counted on the weights that
they own: refined regions of methods a and b share sum(s_a s_b |open to both|) of them on average, at each place of
those that are ranges.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int64

from safety_regions.overlap.chance import Placed, expected_iou, placed
from safety_regions.overlap.counts import STAGES
from safety_regions.progress import progress
from safety_regions.regions.format import Header, Region, Words, open_region
from safety_regions.regions.masks import Masks, masks_at, size_of, union, without
from safety_regions.regions.owned_weights import Layout, check_fit, expand


@dataclass(frozen=True)
class Question:
    """What is compared: the regions of these safety sets at fraction q, raw and refined with the utility sets at
    fraction p.
    """

    safety: list[str]
    utility: list[str]
    q: float
    p: float


@dataclass(frozen=True)
class _Method:
    """The masks of one method's regions, in its own granularity."""

    header: Header
    """Of one of its regions; but for counts and recipe they are all alike."""
    safety: dict[str, Masks]
    removed: Masks

    def masks(self, safety: str, stage: str) -> Masks:
        raw = self.safety[safety]
        return raw if stage == "raw" else without(raw, self.removed)


@dataclass(frozen=True)
class _Tally:
    """Weights of each matrix, in the order of the model."""

    sizes: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    """Of each method's region, by set, stage and method."""
    shared: dict[tuple[str, str, str, str], list[int]] = field(default_factory=dict)
    """In two methods' regions, by set, stage and methods."""
    open: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    """Open to two methods, or twice the same, at a stage."""


def compare(paths: Mapping[str, Mapping[str, Path]], layout: Layout, question: Question) -> pd.DataFrame:
    """One row per safety set, stage and pair of methods; `paths` holds each method's region files by set.

    Sizes, intersection and union are numbers of weights of the whole model, undefined ratios (both empty) are NaN. One
    matrix of each method is in memory at a time, packed. Raises `UserError` for a region that does not fit the layout.
    """
    tally = _Tally()
    with ExitStack() as stack, progress(len(layout.shapes), "across methods", "matrices") as bar:
        methods = {name: _method(stack, regions, layout, question) for name, regions in paths.items()}
        for name in layout.shapes:
            _count_open(tally, methods, name, layout)
            for safety in question.safety:
                for stage in STAGES:
                    words = {m: expand(name, of.masks(safety, stage), of.header, layout) for m, of in methods.items()}
                    _count_regions(tally, words, safety, stage)
            bar.update(1)
    return pd.DataFrame(_rows(tally, methods, layout, question))


def _method(stack: ExitStack, paths: Mapping[str, Path], layout: Layout, question: Question) -> _Method:
    regions: dict[str, Region] = {}
    for name in [*question.safety, *question.utility]:
        regions[name] = stack.enter_context(open_region(paths[name]))
    header = check_fit(list(regions.values()), layout)
    masks = {name: masks_at(regions[name], question.q) for name in question.safety}
    removed = union([masks_at(regions[name], question.p) for name in question.utility])
    return _Method(header, masks, removed)


def _count_open(tally: _Tally, methods: Mapping[str, _Method], name: str, layout: Layout) -> None:
    rows, columns = layout.shapes[name]
    closed = {m: expand(name, of.removed, of.header, layout) for m, of in methods.items()}
    for a, b in _pairs_and_selves(methods):
        tally.open.setdefault(("raw", a, b), []).append(rows * columns)
        tally.open.setdefault(("refined", a, b), []).append(rows * columns - size_of(closed[a] | closed[b]))


def _count_regions(tally: _Tally, words: Mapping[str, Words], safety: str, stage: str) -> None:
    for method, region in words.items():
        tally.sizes.setdefault((safety, stage, method), []).append(size_of(region))
    for a, b in combinations(words, 2):
        tally.shared.setdefault((safety, stage, a, b), []).append(size_of(words[a] & words[b]))


def _rows(tally: _Tally, methods: Mapping[str, _Method], layout: Layout, question: Question) -> Iterator[dict]:
    for (safety, stage, a, b), shared in tally.shared.items():
        size_a, size_b = (sum(tally.sizes[safety, stage, m]) for m in (a, b))
        random = [_random(tally, methods[m].header, layout, safety, stage, m) for m in (a, b)]
        intersection = sum(shared)
        yield {
            "set": safety,
            "stage": stage,
            "q": question.q,
            "p": question.p if stage == "refined" else np.nan,
            "a": a,
            "b": b,
            "granularity_a": methods[a].header.granularity,
            "granularity_b": methods[b].header.granularity,
            "size_a": size_a,
            "size_b": size_b,
            "intersection": intersection,
            "union": size_a + size_b - intersection,
            "n_elements": sum(tally.open["raw", a, b]),
            "iou": _share(intersection, size_a + size_b - intersection),
            "overlap_coefficient": _share(intersection, min(size_a, size_b)),
            "floor_iou": expected_iou(*random, **_open(tally, stage, a, b)),
        }


def _open(tally: _Tally, stage: str, a: str, b: str) -> dict[str, Int64[np.ndarray, " matrices"]]:
    """Weights of each matrix that are open to two methods, and to each of them."""
    pairs = {"both": (a, b), "open_a": (a, a), "open_b": (b, b)}
    return {name: np.array(tally.open[stage, *pair], np.int64) for name, pair in pairs.items()}


def _random(tally: _Tally, header: Header, layout: Layout, safety: str, stage: str, method: str) -> Placed:
    """The chance with which a random region in the method's place holds an open weight of each matrix, for each place
    that it may have.
    """
    held, raw, n_open = (
        np.array(counts, np.int64)
        for counts in (
            tally.sizes[safety, stage, method],
            tally.sizes[safety, "raw", method],
            tally.open[stage, method, method],
        )
    )
    layers = np.array([int(name.split(".")[0]) for name in layout.shapes])
    if header.granularity == "layer":
        # All matrices of a layer are in a region together: its first one tells.
        first = np.unique(layers, return_index=True)[1]
        held, raw, n_open = ((counts[first] > 0).astype(np.int64) for counts in (held, raw, n_open))
    found = placed(header.granularity, header.region_shape, held=held, raw=raw, n_open=n_open)
    return found[:, layers] if header.granularity == "layer" else found


def _pairs_and_selves(methods: Mapping[str, _Method]) -> list[tuple[str, str]]:
    return [*combinations(methods, 2), *((name, name) for name in methods)]


def _share(part: int | float, whole: int | float) -> float:
    return part / whole if whole else float("nan")
