"""Halves of a set: without a common prompt, complete, of one size, the same every time."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety_regions.config.claims import Claims
from safety_regions.data.halves import half_of
from safety_regions.errors import UserError

N_ELEMENTS, TOP, NOISE = 2000, 100, 0.35


def rows_of(prompts) -> list[dict]:
    return [{"id": i, "prompt": str(prompt)} for i, prompt in enumerate(prompts)]


def halves(prompts, split: int) -> list[list[int]]:
    """Where the rows of both halves are."""
    return [[row["id"] for row in half_of(rows_of(prompts), split, half)] for half in (0, 1)]


@given(st.integers(2, 60), st.integers(0, 2**32))
def test_halves_are_disjoint_complete_and_of_one_size(n: int, split: int) -> None:
    first, second = halves(range(n), split)
    assert sorted(first + second) == list(range(n))
    assert len(first) - len(second) == n % 2
    assert first == sorted(first) and second == sorted(second)
    assert halves(range(n), split) == [first, second]


@given(st.lists(st.integers(0, 12), min_size=2, max_size=60).filter(lambda of: len({*of}) > 1), st.integers(0, 2**32))
def test_halves_share_no_prompt_however_often_each_is_there(prompts: list[int], split: int) -> None:
    first, second = halves(prompts, split)
    assert sorted(first + second) == list(range(len(prompts)))
    distinct = [{prompts[place] for place in half} for half in (first, second)]
    assert not distinct[0] & distinct[1]
    assert abs(len(distinct[0]) - len(distinct[1])) <= 1
    assert abs(len(first) - len(second)) <= max(Counter(prompts).values())


def test_prompts_that_are_equal_but_for_case_and_punctuation_stay_together() -> None:
    assert halves(["Wash it.", "wash it", "paint it", "WASH IT!", "sing"], 0) == [[0, 1, 3], [2, 4]]


def test_of_two_prompts_the_one_with_more_rows_goes_to_the_half_with_fewer() -> None:
    assert [Counter("aaaaaabbbbcccd"[place] for place in half) for half in halves("aaaaaabbbbcccd", 0)] == [
        {"a": 6, "d": 1},
        {"b": 4, "c": 3},
    ]


def test_the_first_split_takes_every_other_row_and_others_permute_before_it() -> None:
    assert halves(range(5), 0) == [[0, 2, 4], [1, 3]]
    order = np.random.Generator(np.random.PCG64(3)).permutation(7)
    assert halves(range(7), 3) == [sorted(order[::2]), sorted(order[1::2])]
    assert len({tuple(halves(range(40), split)[0]) for split in range(20)}) == 20


Halves = tuple[list[int], list[int]]
"""Of the rows of both halves, which prompt each has."""


def by_prompt(prompts: list[int], split: int) -> Halves:
    first, second = halves(prompts, split)
    return [prompts[i] for i in first], [prompts[i] for i in second]


def by_row(prompts: list[int], split: int) -> Halves:
    """What a split would be that does not look at prompts."""
    order = np.random.Generator(np.random.PCG64(split)).permutation(len(prompts))
    return [prompts[i] for i in order[::2]], [prompts[i] for i in order[1::2]]


def iou(a: set[int], b: set[int]) -> float:
    return len(a & b) / len(a | b)


def ceiling_and_place(halve: Callable[[list[int], int], Halves], n_splits: int = 20) -> tuple[float, float]:
    """Of two sets that differ in nothing but their prompts, 8 each, every one of them four times.

    A score is a truth that both sets have and the noise of a prompt. The place is that of the IoU of halves of
    different sets, from chance to the ceiling.
    """
    ceilings, between = [], []
    for split in range(1, n_splits + 1):
        world = np.random.Generator(np.random.PCG64(split))
        scores = world.standard_normal(N_ELEMENTS) + NOISE * world.standard_normal((16, N_ELEMENTS))
        rows = [list(world.permutation(np.repeat(of, 4))) for of in (range(8), range(8, 16))]
        first, second = [[{*np.argsort(scores[half].mean(0))[-TOP:]} for half in halve(of, split)] for of in rows]
        ceilings += [iou(*first), iou(*second)]
        between += [iou(a, b) for a in first for b in second]
    ceiling, floor = np.mean(ceilings), TOP / (2 * N_ELEMENTS - TOP)
    return float(ceiling), float((np.mean(between) - floor) / (ceiling - floor))


def test_a_set_of_repeats_has_the_ceiling_of_samples_without_a_common_prompt_and_no_verdict_flips() -> None:
    """Where most prompts are in both halves, sets that are alike seem to differ by more than their samples do."""
    ceiling, place = ceiling_and_place(by_prompt)
    too_high, too_low = ceiling_and_place(by_row)
    assert (ceiling, place) == (pytest.approx(0.65, abs=0.03), pytest.approx(1, abs=0.03))
    assert too_high > ceiling + 0.1 and too_low < Claims().same < place


@pytest.mark.parametrize(("split", "half"), [(-1, 0), (0, 2), (1, -1)])
def test_another_half_is_an_error(split: int, half: int) -> None:
    with pytest.raises(UserError, match=f"half {half} of split {split}"):
        half_of(rows_of("abc"), split, half)


def test_one_prompt_cannot_be_halved() -> None:
    with pytest.raises(UserError, match="3 rows with 1 distinct prompts"):
        half_of(rows_of("aaa"), 0, 0)
