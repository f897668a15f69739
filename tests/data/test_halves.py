"""Halves of a set: disjoint, complete, of one size, the same every time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety_regions.data.halves import half_of
from safety_regions.errors import UserError


def halves(n: int, split: int) -> list[list[int]]:
    return [half_of(range(n), split, half) for half in (0, 1)]


@given(st.integers(2, 60), st.integers(0, 2**32))
def test_halves_are_disjoint_complete_and_of_one_size(n: int, split: int) -> None:
    first, second = halves(n, split)
    assert sorted(first + second) == list(range(n))
    assert len(first) - len(second) == n % 2
    assert first == sorted(first) and second == sorted(second)
    assert halves(n, split) == [first, second]


def test_the_first_split_takes_every_other_row_and_others_permute_before_it() -> None:
    assert halves(5, 0) == [[0, 2, 4], [1, 3]]
    order = np.random.Generator(np.random.PCG64(3)).permutation(7)
    assert halves(7, 3) == [sorted(order[::2]), sorted(order[1::2])]
    assert len({tuple(halves(40, split)[0]) for split in range(20)}) == 20


@pytest.mark.parametrize(("split", "half"), [(-1, 0), (0, 2), (1, -1)])
def test_another_half_is_an_error(split: int, half: int) -> None:
    with pytest.raises(UserError, match=f"half {half} of split {split}"):
        half_of("abc", split, half)


def test_one_row_cannot_be_halved() -> None:
    with pytest.raises(UserError, match="1 rows"):
        half_of("a", 0, 0)
