"""What each utility set takes away by itself, beside the union of them all."""

import numpy as np
import pandas as pd
from jaxtyping import Float64

from safety_regions.claims.jackknife import jackknife, pair_means, ratio, square
from safety_regions.claims.placebo import taken
from safety_regions.claims.rows import at

COLUMNS = [
    *("model", "method", "utility", "q", "p", "taken", "iou", "iou_low", "iou_high", "floor"),
    *("drop", "drop_low", "drop_high", "n_sets"),
]


def utility_rows(
    model: str, method: str, pairs: pd.DataFrame, sets: list[str], q: float, p: float, confidence: float
) -> pd.DataFrame:
    """The rows of utilities.csv of one model and method, one per utility set and one for their union (`union`), in the
    order of `pairs`, the overlap's table of pairs of safety sets.

    Of refinement with that set at fraction p: `taken`, the share of the regions at q that it takes out; the mean IoU
    over pairs of sets that is left, with its chance floor; `drop`, the share of the mean raw IoU that is taken away.
    """
    whole = pairs[pairs["scope"].eq("all") & pairs["q"].eq(q)]
    raw_rows = at(whole, "raw", q, p)
    raw, size = square(raw_rows, "iou", sets), _sizes(raw_rows, sets)
    rows = []
    for utility, refined_rows in whole[whole["stage"].eq("refined") & whole["p"].eq(p)].groupby("utility", sort=False):
        refined = square(refined_rows, "iou", sets)
        # A pair that is empty after refinement counts in neither mean of the ratio.
        share_left = ratio(pair_means(refined), pair_means(raw + 0 * refined))
        iou = jackknife(pair_means(refined), confidence, (0.0, 1.0))
        drop = jackknife(1 - share_left, confidence, (-np.inf, 1.0))
        floor = float(pair_means(square(refined_rows, "floor_iou", sets))[0])
        gone = float(pair_means(taken(size, _sizes(refined_rows, sets)))[0])
        numbers = (gone, iou.value, iou.low, iou.high, floor, drop.value, drop.low, drop.high)
        rows.append((model, method, utility, q, p, *numbers, len(sets)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _sizes(rows: pd.DataFrame, sets: list[str]) -> Float64[np.ndarray, "sets sets"]:
    return square(rows.assign(size=rows["size_a"] + rows["size_b"]), "size", sets)
