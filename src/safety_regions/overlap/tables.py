"""From counts to overlap tables: IoU, overlap coefficient, and the chance floor beside each.

IoU = |A and B| / |A or B|; overlap coefficient = |A and B| / min(|A|, |B|); n-way IoU = |intersection| / |union| of n
sets.

Chance floor: expected intersection over expected union of independent random regions. With s_i the chance that region i
holds an element, n regions share sum(prod(s_i)) elements on average, and sum(1 - prod(1 - s_i)) are in any.

Random regions of weights, neurons or adapter weights hold as many elements of every matrix as the real ones: s_i =
a_i/m for the a_i of m elements that are open to region i. Refined regions cannot hold what refinement removed, so for
them m is the matrix without the utility region. For equal densities q the floor is q/(2-q), and q^n / (1 - (1-q)^n) for
n. A random range of layers has the real one's length and begins with equal chance wherever it fits: s_i is the share of
these places at which it covers the layer, and 0 for a layer that refinement removed.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from safety_regions.overlap.chance import covered
from safety_regions.overlap.counts import Condition, Counts


def pair_table(counts: Counts, p: float) -> pd.DataFrame:
    """One row per pair of safety sets, condition and unit (the model, a module kind, a layer).

    Module and layer units are given raw at every q, and refined at fraction `p` only. Undefined ratios (both empty) are
    NaN.
    """
    first, second = np.triu_indices(len(counts.safety), k=1)
    blocks = []
    for condition, pairs in counts.pairs.items():
        open_elements = _open_elements(counts, condition)
        shared, size_a, size_b = pairs[:, first, second], _sizes(pairs)[:, first], _sizes(pairs)[:, second]
        weights, chances = open_elements[:, None], _chances(counts, condition)
        inside = weights * chances[:, first] * chances[:, second]
        either = weights * (chances[:, first] + chances[:, second]) - inside
        for scope, unit, rows in _units(counts, whole_only=condition.p not in (None, p)):
            columns = {**_condition_columns(condition), "scope": scope, "unit": unit}
            columns |= {"a": np.array(counts.safety)[first], "b": np.array(counts.safety)[second]}
            sums = [x[rows].sum(axis=0) for x in (size_a, size_b, shared, inside, either)]
            blocks.append(columns | _pair_columns(int(open_elements[rows].sum()), *sums))
    return _table(blocks)


def _pair_columns(n_elements: int, size_a, size_b, shared, inside, either) -> dict:
    union = size_a + size_b - shared
    return {
        "size_a": size_a,
        "size_b": size_b,
        "intersection": shared,
        "union": union,
        "n_elements": n_elements,
        "iou": _ratio(shared, union),
        "overlap_coefficient": _ratio(shared, np.minimum(size_a, size_b)),
        "floor_iou": _ratio(inside, either),
    }


def nway_table(counts: Counts) -> pd.DataFrame:
    """One row per order, number of sets n = 2..N and condition: the overlap of the first n sets of the order."""
    blocks = []
    for condition, grown in counts.nway.items():
        chances = _chances(counts, condition)
        weights = _open_elements(counts, condition)[:, None]
        for number, order in enumerate(counts.orders):
            inside = (weights * np.cumprod(chances[:, order], axis=1)).sum(axis=0)
            outside = (weights * np.cumprod(1 - chances[:, order], axis=1)).sum(axis=0)
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
    """One row per set, matrix and condition: how many of the matrix's elements the region holds.

    Refined at fraction `p` only.
    """
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
    """One table of blocks of columns; what is a scalar in every block stands for a whole column of each.

    Thousands of small data frames, or of arrays of one repeated value, would take longer than the counting does.
    """
    lengths = [max(np.size(column) for column in block.values()) for block in blocks]

    def column(name: str) -> np.ndarray:
        parts = [block[name] for block in blocks]
        return np.concatenate(parts) if np.ndim(parts[0]) else np.repeat(parts, lengths)

    return pd.DataFrame({name: column(name) for name in blocks[0]})


def _units(counts: Counts, whole_only: bool) -> Iterator[tuple[str, str, np.ndarray]]:
    names = list(counts.header.shapes)
    layers, kinds = np.array([n.split(".")[0] for n in names]), np.array([n.split(".")[1] for n in names])
    yield "all", "all", np.arange(len(names))
    if whole_only or counts.header.granularity == "layer":
        return
    for kind in dict.fromkeys(kinds.tolist()):
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


def _chances(counts: Counts, condition: Condition) -> Float64[np.ndarray, "matrices sets"]:
    """The chance with which a random region in a set's place holds an open element of each matrix."""
    open_elements = _open_elements(counts, condition)[:, None]
    if counts.header.granularity != "layer":
        return _ratio(_sizes(counts.pairs[condition]), open_elements, empty=0.0)
    lengths = _sizes(counts.pairs[Condition(condition.q)]).sum(axis=0)
    return np.stack([covered(len(open_elements), int(n)) for n in lengths], axis=1) * open_elements


def _sizes(pairs: np.ndarray) -> np.ndarray:
    return np.diagonal(pairs, axis1=1, axis2=2)


def _ratio(part, whole, empty: float = np.nan) -> Float64[np.ndarray, "..."]:
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)
