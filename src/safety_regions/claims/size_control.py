"""What raw regions as small as the refined ones would share: smaller regions overlap less by themselves."""

import numpy as np
import pandas as pd

NAN = float("nan")


def size_matched(raw: pd.DataFrame, refined: pd.DataFrame) -> pd.DataFrame:
    """`a`, `b`, `iou`: for each refined pair the IoU of the same two raw regions at the refined pair's mean size.

    `raw` holds the pairs at every q. Between the fractions of the grid the IoU runs straight over the logarithm of the
    mean size, and so stays between its neighbours. Undefined (NaN) for refined regions smaller than the grid's
    smallest, or empty.
    """
    curves = {pair: _curve(rows) for pair, rows in raw.groupby(["a", "b"])[["size_a", "size_b", "iou"]]}
    columns = (refined["a"], refined["b"], refined["size_a"], refined["size_b"])
    values = [
        _read_off(curves.get((a, b)), (size_a + size_b) / 2) for a, b, size_a, size_b in zip(*columns, strict=True)
    ]
    return pd.DataFrame({"a": refined["a"].to_numpy(), "b": refined["b"].to_numpy(), "iou": np.array(values, float)})


def _curve(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Ascending logarithms of mean sizes, and the mean IoU at each."""
    sizes, iou = (rows["size_a"].to_numpy(float) + rows["size_b"].to_numpy(float)) / 2, rows["iou"].to_numpy(float)
    defined = ~np.isnan(iou) & (sizes > 0)
    distinct, which, count = np.unique(np.log(sizes[defined]), return_inverse=True, return_counts=True)
    return distinct, np.bincount(which, iou[defined], len(distinct)) / count


def _read_off(curve: tuple[np.ndarray, np.ndarray] | None, size: float) -> float:
    if curve is None or not len(curve[0]) or not size > 0:
        return NAN
    return float(np.interp(np.log(size), *curve, left=NAN, right=NAN))
