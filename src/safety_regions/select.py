"""From scores to levels: which elements are in the top fraction, for every fraction of a grid at once.

level 0 = outside all fractions, level k = inside the k-th fraction counted from the largest; so the mask at any grid
fraction is `level >= level_of(grid, fraction)`. A unit of the scope (a row, a matrix, a layer, the model) holds exactly
round(fraction * size) elements, halves to even; ties at the cut go to the lower index (row-major; earlier matrix first).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from safety_regions.errors import UserError


@dataclass(frozen=True)
class Cut:
    """Where regions are cut: ascending fractions in (0, 1], and the scope within which each is taken."""

    grid: tuple[float, ...]
    scope: str


def level_of(grid: Sequence[float], fraction: float) -> int:
    """The smallest level inside `fraction`: the mask is `level >= level_of(grid, fraction)`."""
    if fraction not in grid:
        raise UserError(f"fraction {fraction}", expected=f"one of the grid: {', '.join(map(str, grid))}")
    return len(grid) - list(grid).index(fraction)


def select(
    names: Sequence[str], score: Callable[[str], Float32[np.ndarray, "out in"]], cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "out in"]]]:
    """Levels of each named matrix, in order. `score` is asked for one matrix at a time; scopes wider than a matrix hold
    the scores of one layer or of the whole model in memory. Raises `UserError` naming a matrix whose scores are NaN.
    """
    for group in _groups(names, cut.scope):
        scores = {name: _checked(name, score(name)) for name in group}
        if cut.scope == "row":
            (name,) = group
            yield name, top_levels(scores[name], cut.grid)
        else:
            yield from _split(scores, top_levels(_joined(scores)[None, :], cut.grid)[0])


def top_levels(scores: Float32[np.ndarray, "units size"], grid: Sequence[float]) -> UInt8[np.ndarray, "units size"]:
    """Levels within each unit (row) of a 2-d array of scores; `grid` ascends."""
    units, size = scores.shape
    counts = sorted({k for fraction in grid if (k := round(fraction * size))})
    levels = np.zeros((units, size), np.uint8)
    if not counts:
        return levels
    ranked = np.partition(scores, [size - k for k in counts], axis=1)
    thresholds = {k: ranked[:, size - k, None].copy() for k in counts}
    del ranked
    for fraction in grid:
        if k := round(fraction * size):
            levels += _top(scores, thresholds[k], k)
    return levels


def _top(scores: np.ndarray, threshold: np.ndarray, k: int) -> np.ndarray:
    """Exactly k elements of each unit: all above its k-th largest score, then those equal to it, lower index first."""
    inside = scores >= threshold
    surplus = np.count_nonzero(inside, axis=1) - k
    for unit in np.flatnonzero(surplus):
        equal = np.flatnonzero(scores[unit] == threshold[unit])
        inside[unit, equal[len(equal) - surplus[unit] :]] = False
    return inside


def _groups(names: Sequence[str], scope: str) -> list[list[str]]:
    if scope in ("row", "matrix"):
        return [[name] for name in names]
    if scope == "model":
        return [list(names)]
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(name.split(".")[0], []).append(name)
    return list(layers.values())


def _joined(scores: Mapping[str, np.ndarray]) -> np.ndarray:
    flat = [s.reshape(-1) for s in scores.values()]
    return flat[0] if len(flat) == 1 else np.concatenate(flat)


def _split(scores: Mapping[str, np.ndarray], levels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    start = 0
    for name, matrix in scores.items():
        yield name, levels[start : start + matrix.size].reshape(matrix.shape)
        start += matrix.size


def _checked(name: str, scores: np.ndarray) -> np.ndarray:
    if np.isnan(scores).any():
        raise UserError(f"{int(np.isnan(scores).sum())} scores are NaN", where=f"matrix {name}", hint="look for NaN or infinite weights, or use dtype float32 or bfloat16 for this model")  # fmt: skip
    return scores
