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

from safety_regions.claims.jackknife import NAN, places

Matrix = Float64[np.ndarray, "sets sets"]
Tensor = Float64[np.ndarray, "sets sets sets"]


def taken(raw: Matrix, left: Matrix) -> Matrix:
    """The share of each pair's regions that is taken out, by their sizes before and after; NaN where they are empty."""
    return 1 - np.divide(left, raw, out=np.full(raw.shape, NAN), where=raw > 0)


class Placebo:
    """Every pair of sets without a third one, at all fractions.

    `table`: rows with `q`, `p`, `a`, `b`, `removed`, `size_a`, `size_b`, `iou`.
    """

    def __init__(self, table: pd.DataFrame, sets: list[str]) -> None:
        n_sets, n_fractions = len(sets), 0
        self._at_q: dict[float, int] = {}
        if len(table):
            ends = places(table, ("a", "b", "removed"), sets)
            q, at_q = np.unique(table["q"].to_numpy(float), return_inverse=True)
            p, at_p = np.unique(table["p"].to_numpy(float), return_inverse=True)
            self._at_q, n_fractions = {of: number for number, of in enumerate(q.tolist())}, len(p)
        # By q, a, b, third set and p.
        self._left, self._iou = np.full((2, len(self._at_q), *(n_sets,) * 3, n_fractions), NAN)
        if len(table):
            known = (ends >= 0).all(axis=0)
            a, b, c = ends
            left = (table["size_a"] + table["size_b"]).to_numpy(float)
            for one, other in ((a, b), (b, a)):
                at = tuple(index[known] for index in (at_q, one, other, c, at_p))
                self._left[at], self._iou[at] = left[known], table["iou"].to_numpy(float)[known]

    def ious(self, q: float, raw: Matrix, size: Matrix, amount: Matrix) -> Tensor:
        """IoU of the pair (a, b) at q without the third set c, where that takes the `amount` of the pair that
        refinement does; NaN elsewhere.

        `raw`, `size`: the pairs' IoU and the sums of their sizes before. Between fractions p the IoU is linear in the
        share taken, from the raw IoU where nothing is. Undefined where the third set takes less at every fraction, or
        leaves nothing.
        """
        if q not in self._at_q:
            return np.full((*raw.shape, len(raw)), NAN)
        left, iou = self._left[self._at_q[q]], self._iou[self._at_q[q]]
        nothing = np.zeros((*left.shape[:3], 1))
        some = np.append(nothing == 0, ~np.isnan(iou), axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.append(nothing, 1 - left / size[:, :, None, None], axis=-1)
            ious = np.append(nothing + raw[:, :, None, None], iou, axis=-1)
            # Nothing is taken to begin with; more at a larger fraction. What is undefined comes last.
            order = np.argsort(~some, axis=-1, kind="stable")
            shares, ious = (np.take_along_axis(np.where(some, of, np.inf), order, axis=-1) for of in (shares, ious))
            amounts = np.maximum(amount, 0)[:, :, None, None]
            n_known = some.sum(axis=-1, keepdims=True)
            # The last share that is not above the amount, and the next; behind the last there is none.
            at = ((shares <= amounts).sum(axis=-1, keepdims=True) - 1).clip(0)
            (x, after), (y, then) = (
                [np.take_along_axis(of, place, axis=-1) for place in (at, np.minimum(at + 1, n_known - 1))]
                for of in (shares, ious)
            )
            found = np.where(x == amounts, y, (then - y) / (after - x) * (amounts - x) + y)
        return np.where((n_known > 1) & (size > 0)[:, :, None, None], found, NAN)[..., 0]
