"""What the overlap of two safety regions is held against: the same regions at other sizes, and other sets taken out.

Both are counted in one way: every safety region is taken out of every other, at every two fractions of the grid
(`taken_out`). What region a keeps without region b tells what the two share:

    |A and B| = |A| - |A without B|
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from safety_regions.overlap.counts import Condition, Counts


def taken_out(safety: Sequence[str], grid: Sequence[float]) -> list[tuple[str, float]]:
    """The removals to count for both tables: every safety set at every fraction."""
    return [(name, fraction) for name in safety for fraction in grid]


def level_table(counts: Counts) -> pd.DataFrame:
    """One row per pair of safety sets and two fractions: region a at q_a and region b at q_b, over the whole model.

    Columns q_a, q_b, a, b, size_a, size_b, intersection, union, iou (NaN where both are empty). `counts`: with the
    removals of `taken_out`.
    """
    safety, grid = np.array(counts.safety), counts.header.grid
    first, second = np.triu_indices(len(safety), k=1)
    sizes = {q: np.diagonal(_whole(counts, Condition(q))) for q in grid}
    blocks = []
    for q_a in grid:
        for q_b in grid:
            # |A without B| of every two sets: rows a, columns b.
            left = np.stack([np.diagonal(_whole(counts, Condition(q_a, q_b, b))) for b in counts.safety], axis=1)
            size_a, size_b = sizes[q_a][first], sizes[q_b][second]
            shared = size_a - left[first, second]
            block = {"q_a": q_a, "q_b": q_b, "a": safety[first], "b": safety[second]}
            blocks.append(pd.DataFrame(block | _overlap(size_a, size_b, shared)))
    return pd.concat(blocks, ignore_index=True)


def placebo_table(counts: Counts) -> pd.DataFrame:
    """One row per pair of safety sets, third safety set and two fractions: the pair at q without the third set at p.

    Columns q, p, a, b, removed (the third set), size_a, size_b, intersection, union, iou over the whole model; no rows
    for fewer than three sets. `counts`: with the removals of `taken_out`.
    """
    safety, blocks = np.array(counts.safety), []
    first, second = np.triu_indices(len(safety), k=1)
    for condition in counts.pairs:
        if condition.p is None:
            continue
        others = (safety[first] != condition.utility) & (safety[second] != condition.utility)
        a, b = first[others], second[others]
        pairs = _whole(counts, condition)
        sizes = np.diagonal(pairs)
        block = {"q": condition.q, "p": condition.p, "a": safety[a], "b": safety[b], "removed": condition.utility}
        blocks.append(pd.DataFrame(block | _overlap(sizes[a], sizes[b], pairs[a, b])))
    return pd.concat(blocks, ignore_index=True)


def _whole(counts: Counts, condition: Condition) -> Int64[np.ndarray, "sets sets"]:
    return counts.pairs[condition].sum(axis=0)


def _overlap(
    size_a: Int64[np.ndarray, " pairs"], size_b: Int64[np.ndarray, " pairs"], shared: Int64[np.ndarray, " pairs"]
) -> dict[str, Int64[np.ndarray, " pairs"] | Float64[np.ndarray, " pairs"]]:
    union = size_a + size_b - shared
    iou = np.divide(shared, union, out=np.full(len(union), np.nan), where=union > 0)
    return {"size_a": size_a, "size_b": size_b, "intersection": shared, "union": union, "iou": iou}
