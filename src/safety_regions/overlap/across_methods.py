"""Regions of different methods compared on the weights they own: what a neuron or a layer owns counts weight by weight.

Refinement takes place in a method's own granularity, with the union of the method's own utility regions, before it is
expanded to weights (`safety_regions.regions.owned_weights`).

Chance floor: expected intersection over expected union of independent random regions, as in
`safety_regions.overlap.tables`, with s_a the chance that method a's random region holds a weight that is open to it:
a/m of m open weights of a matrix that hold a of the real region, or for layers the share of the places of a range of
its length at which it covers the layer. Refined regions of a and b share the weights open to both: sum(s_a s_b |open_a
and open_b|).
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from safety_regions.overlap.chance import covered
from safety_regions.overlap.counts import STAGES
from safety_regions.progress import progress
from safety_regions.regions.format import Region, Words, open_region
from safety_regions.regions.masks import Masks, masks_at, union, without
from safety_regions.regions.owned_weights import Layout, check_fits, expand


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

    granularity: str
    safety: dict[str, Masks]
    removed: Masks
    lengths: dict[str, int]
    """Layers in each safety set's region, for a method of that granularity."""

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
                    words = {
                        m: expand(name, of.masks(safety, stage), of.granularity, layout) for m, of in methods.items()
                    }
                    _count_regions(tally, words, safety, stage)
            bar.update(1)
    return pd.DataFrame(_rows(tally, methods, layout, question))


def _method(stack: ExitStack, paths: Mapping[str, Path], layout: Layout, question: Question) -> _Method:
    regions: dict[str, Region] = {}
    for name in [*question.safety, *question.utility]:
        regions[name] = stack.enter_context(open_region(paths[name]))
        check_fits(regions[name], layout)
    masks = {name: masks_at(regions[name], question.q) for name in question.safety}
    removed = union([masks_at(regions[name], question.p) for name in question.utility])
    granularity = regions[question.safety[0]].header.granularity
    lengths = (
        {s: sum(_popcount(m(own)) for own in regions[s].names) for s, m in masks.items()}
        if granularity == "layer"
        else {}
    )
    return _Method(granularity, masks, removed, lengths)


def _count_open(tally: _Tally, methods: Mapping[str, _Method], name: str, layout: Layout) -> None:
    rows, columns = layout.shapes[name]
    closed = {m: expand(name, of.removed, of.granularity, layout) for m, of in methods.items()}
    for a, b in _pairs_and_selves(methods):
        tally.open.setdefault(("raw", a, b), []).append(rows * columns)
        tally.open.setdefault(("refined", a, b), []).append(rows * columns - _popcount(closed[a] | closed[b]))


def _count_regions(tally: _Tally, words: Mapping[str, Words], safety: str, stage: str) -> None:
    for method, region in words.items():
        tally.sizes.setdefault((safety, stage, method), []).append(_popcount(region))
    for a, b in combinations(words, 2):
        tally.shared.setdefault((safety, stage, a, b), []).append(_popcount(words[a] & words[b]))


def _rows(tally: _Tally, methods: Mapping[str, _Method], layout: Layout, question: Question) -> Iterator[dict]:
    for (safety, stage, a, b), shared in tally.shared.items():
        size_a, size_b = (sum(tally.sizes[safety, stage, m]) for m in (a, b))
        chances = [_chances(tally, methods, layout, safety, stage, m) for m in (a, b)]
        inside = float((chances[0] * chances[1] * tally.open[stage, a, b]).sum())
        held = sum(float((s * tally.open[stage, m, m]).sum()) for s, m in zip(chances, (a, b), strict=True))
        intersection = sum(shared)
        yield {
            "set": safety,
            "stage": stage,
            "q": question.q,
            "p": question.p if stage == "refined" else np.nan,
            "a": a,
            "b": b,
            "granularity_a": methods[a].granularity,
            "granularity_b": methods[b].granularity,
            "size_a": size_a,
            "size_b": size_b,
            "intersection": intersection,
            "union": size_a + size_b - intersection,
            "n_elements": sum(tally.open["raw", a, b]),
            "iou": _share(intersection, size_a + size_b - intersection),
            "overlap_coefficient": _share(intersection, min(size_a, size_b)),
            "floor_iou": _share(inside, held - inside),
        }


def _chances(
    tally: _Tally, methods: Mapping[str, _Method], layout: Layout, safety: str, stage: str, method: str
) -> Float64[np.ndarray, " matrices"]:
    """The chance with which a random region in the method's place holds an open weight of each matrix."""
    if methods[method].granularity == "layer":
        by_layer = covered(layout.n_layers, methods[method].lengths[safety])
        return by_layer[[int(name.split(".")[0]) for name in layout.shapes]]
    size = np.array(tally.sizes[safety, stage, method], float)
    places: Int64[np.ndarray, " matrices"] = np.array(tally.open[stage, method, method])
    return np.divide(size, places, out=np.zeros_like(size), where=places > 0)


def _pairs_and_selves(methods: Mapping[str, _Method]) -> list[tuple[str, str]]:
    return [*combinations(methods, 2), *((name, name) for name in methods)]


def _popcount(words: Words) -> int:
    return int(np.bitwise_count(words).sum(dtype=np.int64))


def _share(part: int | float, whole: int | float) -> float:
    return part / whole if whole else float("nan")
