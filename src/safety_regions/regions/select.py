"""From scores to levels: which elements are in the top fraction, for every fraction of a grid at once.

level 0 = outside all fractions, level k = inside the k-th fraction counted from the largest; so the mask at any grid
fraction is `level >= level_of(grid, fraction)`. A unit of the scope (a row, a matrix, a layer, the model) holds exactly
min(round(fraction * size), positive) elements, halves to even, `positive` being how many of its scores are above 0;
ties at the cut go to the lower index (row-major; earlier matrix first).

An element whose score is 0 is in no region: by its method it does nothing, and of equal nothings an index would choose.
A negative score says the opposite of what is looked for, so it is in no region either.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from safety_regions.errors import UserError

SCOPES = ("row", "matrix", "layer", "model")
MOST_FRACTIONS = 15
"""Of a grid: levels have four bits at most."""


@dataclass(frozen=True)
class Cut:
    """Where regions are cut: ascending fractions in (0, 1], and the scope within which each is taken.

    Raises `UserError` for a grid or a scope that no region can have.
    """

    grid: tuple[float, ...]
    scope: str

    def __post_init__(self) -> None:
        ascends = list(self.grid) == sorted(set(self.grid)) and all(0 < fraction <= 1 for fraction in self.grid)
        if not 1 <= len(self.grid) <= MOST_FRACTIONS or not ascends:
            expected = f"1 to {MOST_FRACTIONS} fractions in (0, 1] that ascend"
            raise UserError(f"grid {list(self.grid)}", expected=expected)
        if self.scope not in SCOPES:
            raise UserError(f"scope {self.scope!r}", expected=f"one of: {', '.join(SCOPES)}")


def level_of(grid: Sequence[float], fraction: float) -> int:
    """The smallest level inside `fraction`: the mask is `level >= level_of(grid, fraction)`."""
    if fraction not in grid:
        raise UserError(f"fraction {fraction}", expected=f"one of the grid: {', '.join(map(str, grid))}")
    return len(grid) - list(grid).index(fraction)


def asked(shapes: Mapping[str, tuple[int, int]], cut: Cut) -> tuple[int, ...]:
    """How many elements each fraction of the grid asks for in matrices of these shapes: round(fraction * size) of every
    unit. A region holds fewer where scores are not positive.
    """
    units = []
    for group in _groups(list(shapes), cut.scope):
        n = shapes[group[0]][0] if cut.scope == "row" else 1
        units.append((n, sum(rows * columns for rows, columns in (shapes[name] for name in group)) // n))
    return tuple(sum(n * round(fraction * size) for n, size in units) for fraction in cut.grid)


def select(
    names: Sequence[str], score: Callable[[str], Float32[np.ndarray, "out in"]], cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "out in"]]]:
    """Levels of each named matrix, in order. Raises `UserError` naming a matrix whose scores are NaN.

    `score` is asked for one matrix at a time. For scopes wider than a matrix it is asked up to five times for the same
    one, so that the scores of a layer or of a model need not be in memory together: it must give the same each time.
    """
    from safety_regions.regions import top_fractions

    for group in _groups(names, cut.scope):
        if cut.scope in ("row", "matrix"):
            (name,) = group
            scores = score(name)
            units = scores if cut.scope == "row" else scores.reshape(1, -1)
            yield name, top_fractions.top_levels(units, cut.grid, name).reshape(scores.shape)
        else:
            yield from top_fractions.levels_of_group(group, score, cut.grid)


def _groups(names: Sequence[str], scope: str) -> list[list[str]]:
    if scope in ("row", "matrix"):
        return [[name] for name in names]
    if scope == "model":
        return [list(names)]
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(name.split(".")[0], []).append(name)
    return list(layers.values())
