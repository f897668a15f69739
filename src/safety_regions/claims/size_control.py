"""What raw regions as small as the refined ones would share: smaller regions overlap less by themselves."""

import numpy as np
import pandas as pd
from jaxtyping import Float64

NAN = float("nan")
Column = Float64[np.ndarray, " rows"]
Sizes = Float64[np.ndarray, " fractions"]
Ious = Float64[np.ndarray, "fractions_a fractions_b"]


def size_matched(levels: pd.DataFrame, refined: pd.DataFrame) -> pd.DataFrame:
    """`a`, `b`, `iou`: for each refined pair the IoU of the same two raw regions, each at its own refined size.

    `levels` holds the raw pairs at every two fractions (`q_a`, `q_b`, `a`, `b`, `size_a`, `size_b`, `iou`), one way
    round. Between the fractions of the grid the IoU is linear in the logarithms of the two sizes on either side of the
    diagonal on which both rise alike, where it has its ridge: so two regions of one size are read off regions of one
    size. Undefined (NaN) for refined regions smaller than the grid's smallest, or empty.
    """
    surfaces = _surfaces(levels)
    columns = (refined["a"], refined["b"], *(refined[end].to_numpy(float) for end in ("size_a", "size_b")))
    values = [_read_off(surfaces.get((a, b)), size_a, size_b) for a, b, size_a, size_b in zip(*columns, strict=True)]
    return pd.DataFrame({"a": refined["a"].to_numpy(), "b": refined["b"].to_numpy(), "iou": np.array(values, float)})


def _surfaces(levels: pd.DataFrame) -> dict[tuple[str, str], tuple[Sizes, Sizes, Ious]]:
    """Of each pair, both ways round."""
    surfaces = {}
    if len(levels):
        size_a, size_b, iou = (levels[column].to_numpy(float) for column in ("size_a", "size_b", "iou"))
        # Rows by number: a frame for each pair would take longer than all the rest.
        for (a, b), rows in levels.groupby(["a", "b"], sort=False).indices.items():
            surface = _surface(size_a[rows], size_b[rows], iou[rows])
            surfaces[a, b], surfaces[b, a] = surface, (surface[1], surface[0], surface[2].T)
    return surfaces


def _surface(size_a: Column, size_b: Column, iou: Column) -> tuple[Sizes, Sizes, Ious]:
    """Ascending logarithms of each region's distinct sizes above 0, and the IoU at every two of them."""
    some = (size_a > 0) & (size_b > 0)
    # Fractions at which a region has no element more are one size.
    (sizes_a, at_a), (sizes_b, at_b) = (np.unique(of[some], return_inverse=True) for of in (size_a, size_b))
    surface = np.full((len(sizes_a), len(sizes_b)), NAN)
    surface[at_a, at_b] = iou[some]
    return np.log(sizes_a), np.log(sizes_b), surface


def _read_off(surface: tuple[Sizes, Sizes, Ious] | None, size_a: float, size_b: float) -> float:
    if surface is None or not (size_a > 0 and size_b > 0):
        return NAN
    sizes_a, sizes_b, iou = surface
    (i, x), (j, y) = _cell(sizes_a, np.log(size_a)), _cell(sizes_b, np.log(size_b))
    if i < 0 or j < 0:
        return NAN
    right, up = min(i + 1, len(sizes_a) - 1), min(j + 1, len(sizes_b) - 1)
    corner, far = iou[i, j], iou[right, up]
    # Of a cell's two triangles the one that the point is in; the diagonal from corner to corner is in both.
    near = iou[right, j] if x >= y else iou[i, up]
    high, low = max(x, y), min(x, y)
    return float(corner + high * (near - corner) + low * (far - near))


def _cell(sizes: Sizes, size: float) -> tuple[int, float]:
    """The last size that is not above this one, and how far to the next it lies, in [0, 1); -1 where it is outside."""
    if not len(sizes) or not sizes[0] <= size <= sizes[-1]:
        return -1, 0.0
    i = int(np.searchsorted(sizes, size, side="right")) - 1
    return i, 0.0 if i == len(sizes) - 1 else float((size - sizes[i]) / (sizes[i + 1] - sizes[i]))
