"""From counts to overlap tables: IoU, overlap coefficient, and the chance floor beside each.

IoU = |A and B| / |A or B|; overlap coefficient = |A and B| / min(|A|, |B|); n-way IoU = |intersection| / |union| of n
sets.

The chance floor is that of `safety_regions.overlap.chance`, for random regions of the real ones' sizes and shape.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from safety_regions.elements import Shape, usual_shape
from safety_regions.overlap.chance import Chances, chances, expected_agreement, expected_growth, expected_pair
from safety_regions.overlap.counts import Condition, Counts
from safety_regions.overlap.ranges import expected_iou


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
        by_chance = _chances(counts, condition)
        both, either = expected_pair(open_elements, by_chance[:, first], by_chance[:, second])
        lengths = _lengths(counts, condition)
        for scope, unit, rows in _units(counts, whole_only=condition.p not in (None, p)):
            columns = {**_condition_columns(condition), "scope": scope, "unit": unit}
            columns |= {"a": np.array(counts.safety)[first], "b": np.array(counts.safety)[second]}
            sizes = (size_a[rows].sum(axis=0), size_b[rows].sum(axis=0), shared[rows].sum(axis=0))
            if lengths is None:
                floors = _ratio(both[rows].sum(axis=0), either[rows].sum(axis=0))
            else:
                # Layers have no units but the whole.
                pairs_of_lengths = np.stack([lengths[first], lengths[second]], axis=1)
                floors = np.array([expected_iou(open_elements, pair) for pair in pairs_of_lengths], float)
            blocks.append(columns | _pair_columns(int(open_elements[rows].sum()), *sizes, floors))
    return _table(blocks)


def _pair_columns(n_elements: int, size_a, size_b, shared, floors) -> dict:
    union = size_a + size_b - shared
    return {
        "size_a": size_a,
        "size_b": size_b,
        "intersection": shared,
        "union": union,
        "n_elements": n_elements,
        "iou": _ratio(shared, union),
        "overlap_coefficient": _ratio(shared, np.minimum(size_a, size_b)),
        "floor_iou": floors,
    }


def nway_table(counts: Counts) -> pd.DataFrame:
    """One row per order, number of sets n = 2..N and condition: the overlap of the first n sets of the order."""
    blocks = []
    for condition, grown in counts.nway.items():
        by_chance, n_open = _chances(counts, condition), _open_elements(counts, condition)
        lengths = _lengths(counts, condition)
        for number, order in enumerate(counts.orders):
            all_by_chance, any_by_chance = expected_growth(n_open, by_chance[:, order])
            if lengths is None:
                floors = _ratio(all_by_chance, any_by_chance)
            else:
                floors = np.array([expected_iou(n_open, lengths[order[:n]]) for n in range(1, len(order) + 1)])
            shared, union = grown[:, number].sum(axis=0).T
            block = {
                **_condition_columns(condition),
                "order": number,
                "n": np.arange(2, len(order) + 1),
                "added": np.array([counts.safety[i] for i in order[1:]]),
                "intersection": shared[1:],
                "union": union[1:],
                "iou": _ratio(shared, union)[1:],
                "floor_iou": floors[1:],
                "floor_intersection": all_by_chance[1:],
            }
            blocks.append(block)
    return _table(blocks)


def agreement_table(counts: Counts) -> pd.DataFrame:
    """One row per condition and number of sets k = 1..N: the elements that at least k of the safety regions hold.

    `elements` counts them, `floor_elements` is how many independent random regions would have there on average, and
    `held` is the mean size of a region. So `elements / held` is 1 at k = N if all regions are the same.
    """
    blocks = []
    for condition, agreed in counts.agreed.items():
        block = {
            **_condition_columns(condition),
            "n_sets": np.arange(1, len(counts.safety) + 1),
            "elements": agreed.sum(axis=0),
            "floor_elements": expected_agreement(_open_elements(counts, condition), _chances(counts, condition)),
            "held": _sizes(counts.pairs[condition]).sum(axis=0).mean(),
        }
        blocks.append(block)
    return _table(blocks)


def size_table(counts: Counts, p: float) -> pd.DataFrame:
    """One row per set, matrix and condition: how many of the matrix's elements the region holds.

    Refined at fraction `p` only. Where regions are not of their granularity's usual shape, a column `region_shape` says
    of which.
    """
    matrix = {
        "layer": np.array([int(name.split(".")[0]) for name in counts.header.shapes]),
        "module": np.array([name.split(".")[1] for name in counts.header.shapes]),
        "n_elements": _elements(counts),
    }
    if counts.header.region_shape != usual_shape(counts.header.granularity):
        matrix["region_shape"] = np.full(len(counts.header.shapes), counts.header.region_shape)
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


def granularity_and_shape(sizes: pd.DataFrame) -> tuple[str, Shape]:
    """Whether a size table is of `layer`s or of elements of matrices (`weight`), and the shape of its regions."""
    granularity = "layer" if set(sizes["module"]) == {"layer"} else "weight"
    return granularity, sizes["region_shape"].iloc[0] if "region_shape" in sizes else usual_shape(granularity)


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


def _chances(counts: Counts, condition: Condition) -> Chances:
    return chances(
        counts.header.granularity,
        counts.header.region_shape,
        held=_sizes(counts.pairs[condition]),
        raw=_sizes(counts.pairs[Condition(condition.q)]),
        n_open=_open_elements(counts, condition),
    )


def _lengths(counts: Counts, condition: Condition) -> Int64[np.ndarray, " sets"] | None:
    """Layers of each set's range before refinement; None for regions of free elements."""
    if counts.header.region_shape == "free":
        return None
    return _sizes(counts.pairs[Condition(condition.q)]).sum(axis=0)


def _sizes(pairs: np.ndarray) -> np.ndarray:
    return np.diagonal(pairs, axis1=1, axis2=2)


def _ratio(part, whole) -> Float64[np.ndarray, "..."]:
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
