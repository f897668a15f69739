"""What taking out a region that has nothing to do with harmless prompts does to the overlap: a placebo for refinement.

Refinement takes the regions of harmless sets out of two safety regions, and their IoU falls. It falls as well if the
region of a third safety set is taken out, since what regions share is shared by others, too. So refinement is held
against that, at the same amount taken:

    taken    1 - (|A'| + |B'|) / (|A| + |B|)      A', B': what is left of the two regions
    placebo  IoU of a pair without the region of a third safety set, cut to the fraction at which it takes as much
"""

import numpy as np
import pandas as pd
from jaxtyping import Float64

from safety_regions.claims.jackknife import NAN, square


def taken(raw: pd.DataFrame, left: pd.DataFrame, sets: list[str]) -> Float64[np.ndarray, "sets sets"]:
    """The share of each pair's regions that is taken out; NaN where they are empty. Both have a row for each pair."""
    before, after = (square(rows.assign(size=rows["size_a"] + rows["size_b"]), "size", sets) for rows in (raw, left))
    return 1 - np.divide(after, before, out=np.full(before.shape, NAN), where=before > 0)


def placebo_ious(
    placebo: pd.DataFrame, raw: pd.DataFrame, refined: pd.DataFrame, sets: list[str]
) -> Float64[np.ndarray, "sets sets sets"]:
    """IoU of the pair (a, b) without the third set c, where that takes as much as refinement did; NaN elsewhere.

    `placebo`: rows at one q with `p`, `a`, `b`, `removed`, `size_a`, `size_b`, `iou`. Between fractions p the IoU is
    linear in the share taken, from the raw IoU where nothing is. Undefined where the third set takes less at every
    fraction, or leaves nothing.
    """
    n_sets, index = len(sets), pd.Index(sets)
    found = np.full((n_sets,) * 3, NAN)
    if placebo.empty:
        return found
    fractions, at_p = np.unique(placebo["p"].to_numpy(float), return_inverse=True)
    a, b, c = (index.get_indexer(placebo[column]) for column in ("a", "b", "removed"))
    left, iou = np.full((2, n_sets, n_sets, n_sets, len(fractions)), NAN)
    left[a, b, c, at_p], iou[a, b, c, at_p] = placebo["size_a"] + placebo["size_b"], placebo["iou"]
    amount, intact = taken(raw, refined, sets), square(raw, "iou", sets)
    before = square(raw.assign(size=raw["size_a"] + raw["size_b"]), "size", sets)
    for a, b, c in zip(*np.nonzero(~np.isnan(iou).all(axis=-1)), strict=True):
        if before[a, b] > 0:
            some = ~np.isnan(iou[a, b, c])
            shares, values = 1 - left[a, b, c][some] / before[a, b], iou[a, b, c][some]
            # Nothing is taken to begin with; more at a larger fraction.
            curve = np.append(0.0, shares), np.append(intact[a, b], values)
            found[a, b, c] = found[b, a, c] = np.interp(amount[a, b], *curve, right=NAN)
    return found
