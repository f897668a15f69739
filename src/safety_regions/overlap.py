"""From counts to overlap tables: IoU, overlap coefficient, and the chance floor beside each.

IoU = |A and B| / |A or B|; overlap coefficient = |A and B| / min(|A|, |B|); n-way IoU = |intersection| / |union| of n sets.

Chance floor: the IoU expected of independent random regions that hold as many elements of every matrix as the real ones.
In a matrix of m elements open to them, two regions of a and b elements share a*b/m on average, and n regions
m*prod(a_i/m), with m*(1 - prod(1 - a_i/m)) in their union; the floor is the ratio of these sums over matrices. For equal
densities q it is q/(2-q), and q^n / (1 - (1-q)^n) for n. Refined regions cannot hold what refinement removed, so for them
m is the matrix without the utility region.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from safety_regions.counts import Condition, Counts
from safety_regions.models.kinds import KINDS


def pair_table(counts: Counts, p: float) -> pd.DataFrame:
    """One row per pair of safety sets, condition and unit (the model, a module kind, a layer).

    Module and layer units are given raw at every q, and refined at fraction `p` only. Undefined ratios (both empty) are NaN.
    """
    first, second = np.triu_indices(len(counts.safety), k=1)
    blocks = []
    for condition, pairs in counts.pairs.items():
        open_elements = _open_elements(counts, condition)
        shared, size_a, size_b = pairs[:, first, second], _sizes(pairs)[:, first], _sizes(pairs)[:, second]
        expected = _ratio(size_a * size_b, open_elements[:, None], empty=0.0)
        for scope, unit, rows in _units(counts, whole_only=condition.p not in (None, p)):
            sums = [x[rows].sum(axis=0) for x in (size_a, size_b, shared, expected)]
            blocks.append(
                _pair_block(counts, condition, scope, unit, int(open_elements[rows].sum()), first, second, *sums)
            )
    return _table(blocks)


def _pair_block(counts: Counts, condition: Condition, scope, unit, n_elements, first, second, size_a, size_b, shared, expected) -> dict:  # fmt: skip
    names = np.array(counts.safety)
    union = size_a + size_b - shared
    return {
        **_condition_columns(condition),
        "scope": scope,
        "unit": unit,
        "a": names[first],
        "b": names[second],
        "size_a": size_a,
        "size_b": size_b,
        "intersection": shared,
        "union": union,
        "n_elements": n_elements,
        "iou": _ratio(shared, union),
        "overlap_coefficient": _ratio(shared, np.minimum(size_a, size_b)),
        "floor_iou": _ratio(expected, size_a + size_b - expected),
    }


def nway_table(counts: Counts) -> pd.DataFrame:
    """One row per order, number of sets n = 2..N and condition: the overlap of the first n sets of the order."""
    blocks = []
    for condition, grown in counts.nway.items():
        shares = _ratio(_sizes(counts.pairs[condition]), _open_elements(counts, condition)[:, None], empty=0.0)
        weights = _open_elements(counts, condition)[:, None]
        for number, order in enumerate(counts.orders):
            inside = (weights * np.cumprod(shares[:, order], axis=1)).sum(axis=0)
            outside = (weights * np.cumprod(1 - shares[:, order], axis=1)).sum(axis=0)
            shared, union = grown[:, number].sum(axis=0).T
            block = {
                **_condition_columns(condition),
                "order": number,
                "n": np.arange(2, len(order) + 1),
                "added": np.array([counts.safety[i] for i in order[1:]]),
                "intersection": shared[1:],
                "union": union[1:],
                "iou": _ratio(shared, union)[1:],
                "floor_iou": _ratio(inside, weights.sum() - outside)[1:],
            }
            blocks.append(block)
    return _table(blocks)


def size_table(counts: Counts, p: float) -> pd.DataFrame:
    """One row per set, matrix and condition: how many of the matrix's elements the region holds. Refined at fraction `p` only."""
    matrix = {
        "layer": np.array([int(name.split(".")[0]) for name in counts.header.shapes]),
        "module": np.array([name.split(".")[1] for name in counts.header.shapes]),
        "n_elements": _elements(counts),
    }
    blocks = []
    for condition, pairs in counts.pairs.items():
        if condition.p in (None, p):
            for number, dataset in enumerate(counts.safety):
                columns = {**_condition_columns(condition), "role": "safety", "dataset": dataset}
                blocks.append({**matrix, **columns, "size": _sizes(pairs)[:, number]})
    for (utility, fraction), sizes in counts.removed.items():
        columns = {**_condition_columns(Condition(fraction)), "role": "utility", "dataset": utility}
        blocks.append({**matrix, **columns, "size": sizes})
    return _table(blocks)


def _table(blocks: list[dict]) -> pd.DataFrame:
    """One table of blocks of columns; a scalar stands for a whole column of its block.

    Thousands of small data frames would take longer than the counting does.
    """
    lengths = [max(np.size(column) for column in block.values()) for block in blocks]
    columns = {
        name: np.concatenate([np.broadcast_to(b[name], n) for b, n in zip(blocks, lengths, strict=True)])
        for name in blocks[0]
    }
    return pd.DataFrame(columns)


def _units(counts: Counts, whole_only: bool) -> Iterator[tuple[str, str, np.ndarray]]:
    names = list(counts.header.shapes)
    layers, kinds = np.array([n.split(".")[0] for n in names]), np.array([n.split(".")[1] for n in names])
    yield "all", "all", np.arange(len(names))
    if whole_only:
        return
    for kind in KINDS:
        if (kinds == kind).any():
            yield "module", kind, np.flatnonzero(kinds == kind)
    for layer in dict.fromkeys(layers.tolist()):
        yield "layer", layer, np.flatnonzero(layers == layer)


def _condition_columns(condition: Condition) -> dict:
    p = np.nan if condition.p is None else condition.p
    return {"stage": condition.stage, "utility": condition.utility, "q": condition.q, "p": p}


def _elements(counts: Counts) -> Int64[np.ndarray, " matrices"]:
    return np.array([rows * columns for rows, columns in counts.header.shapes.values()], np.int64)


def _open_elements(counts: Counts, condition: Condition) -> Int64[np.ndarray, " matrices"]:
    """Elements of each matrix that a region of this condition could hold."""
    if condition.p is None:
        return _elements(counts)
    return _elements(counts) - counts.removed[condition.utility, condition.p]


def _sizes(pairs: np.ndarray) -> np.ndarray:
    return np.diagonal(pairs, axis1=1, axis2=2)


def _ratio(part, whole, empty: float = np.nan) -> Float64[np.ndarray, "..."]:
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)
