"""An order of sets in which those that are alike stand together."""

import numpy as np
from jaxtyping import Float64


def alike_together(iou: Float64[np.ndarray, "sets sets"]) -> list[int]:
    """The leaves of a tree of sets, joined two groups at a time by the highest mean IoU (average linkage, Sokal and
    Michener 1958), each turned so that the most alike ends meet.

    `iou` is symmetric; undefined (NaN) counts as 0. Of equals the first in order are joined, so sets that are all as
    alike stay as they are.
    """
    values = np.nan_to_num(iou)
    groups = [[index] for index in range(len(values))]
    while len(groups) > 1:
        pairs = [(i, j) for i in range(len(groups)) for j in range(i + 1, len(groups))]
        i, j = max(pairs, key=lambda pair: round(float(values[np.ix_(groups[pair[0]], groups[pair[1]])].mean()), 12))
        first, second = groups[i], groups[j]
        turned = [(a, b) for a in (first, first[::-1]) for b in (second, second[::-1])]
        a, b = max(turned, key=lambda ends: values[ends[0][-1], ends[1][0]])
        groups[i] = a + b
        del groups[j]
    return groups[0] if groups else []
