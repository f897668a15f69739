"""Two disjoint halves of a set's rows: regions of both say how far a region depends on which prompts were drawn."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from safety_regions.errors import UserError

T = TypeVar("T")


def half_of(rows: Sequence[T], split: int, half: int) -> list[T]:
    """The rows of half 0 or 1 of a split, in their order.

    Split 0 has rows at even positions in half 0 and those at odd ones in half 1; split s > 0 first puts the rows in the
    order of PCG64(s)'s permutation. Halves of one split share no row, hold all of them together, and differ in size by
    at most one. Raises `UserError` for another split or half, and for fewer than two rows.
    """
    if type(split) is not int or split < 0 or half not in (0, 1):
        raise UserError(f"half {half} of split {split}", expected="half 0 or 1 of a split from 0 on")
    if len(rows) < 2:
        raise UserError(
            f"{len(rows)} rows to halve",
            expected="at least 2",
            hint="raise datasets.n_samples, or leave out the halves",
        )
    positions = np.arange(len(rows))
    if split > 0:
        positions = np.random.Generator(np.random.PCG64(split)).permutation(len(rows))
    return [rows[i] for i in sorted(positions[half::2])]
