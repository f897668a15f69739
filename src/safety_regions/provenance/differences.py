"""How far two region files are apart that should be the same."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from safety_regions.errors import UserError
from safety_regions.regions.format import Region, at_least, open_region


@dataclass(frozen=True)
class Difference:
    """At one fraction of the grid: elements in only one of the two, in both, and in any."""

    fraction: float
    only_one: int
    both: int

    @property
    def iou(self) -> float:
        """Intersection over union; 1 if both are empty."""
        union = self.only_one + self.both
        return self.both / union if union else 1.0


def differences(a: Path | str, b: Path | str) -> list[Difference]:
    """One row per fraction of the grid, ascending, over all matrices.

    Raises `UserError` if the files do not have the same grid and matrices, or are no sound region files.
    """
    with open_region(a) as one, open_region(b) as other:
        if (one.header.grid, one.header.shapes) != (other.header.grid, other.header.shapes):
            raise UserError("another grid or other matrices", where=str(other.path), expected=f"those of {one.path}")
        n = len(one.header.grid)
        counts = sum((_counts(one, other, name, n) for name in one.names), np.zeros((n, 2), np.int64))
    return [
        Difference(fraction, int(only), int(both))
        for fraction, (only, both) in zip(one.header.grid, counts, strict=True)
    ]


def _counts(one: Region, other: Region, name: str, n: int) -> np.ndarray:
    """Elements of one matrix in only one region, and in both, at each fraction."""
    planes = [region.planes(name) for region in (one, other)]
    rows = []
    for place in range(n):
        a, b = (at_least(of, n - place) for of in planes)
        rows.append([np.bitwise_count(a ^ b).sum(dtype=np.int64), np.bitwise_count(a & b).sum(dtype=np.int64)])
    return np.array(rows, np.int64)
