"""Halves of a set: without a common prompt, complete, of one size, the same every time."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety_regions.data.halves import half_of
from safety_regions.errors import UserError

N_ELEMENTS, TOP, NOISE = 2000, 100, 3.0


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


def iou(samples: list[list[int]], world: np.random.Generator) -> float:
    """Of the top elements by two samples' mean scores; a score is the set's own and the noise of its prompt."""
    truth = world.standard_normal(N_ELEMENTS)
    noise = NOISE * world.standard_normal((1 + max(map(max, samples)), N_ELEMENTS))
    tops = [{*np.argsort(truth + noise[sample].mean(0))[-TOP:]} for sample in samples]
    return len(tops[0] & tops[1]) / len(tops[0] | tops[1])


def test_the_ceiling_of_a_set_with_repeats_is_that_of_samples_without_a_common_prompt() -> None:
    """Planted: 8 prompts, each four times. A split of rows puts most of them in both halves."""
    by_prompt, by_row, apart = [], [], []
    for split in range(1, 21):
        world = np.random.Generator(np.random.PCG64(split))
        prompts = list(world.permutation(np.repeat(np.arange(8), 4)))
        places = world.permutation(32)
        by_prompt.append(iou([[prompts[i] for i in half] for half in halves(prompts, split)], world))
        by_row.append(iou([[prompts[i] for i in half] for half in (places[::2], places[1::2])], world))
        apart.append(iou([[0, 1, 2, 3], [4, 5, 6, 7]], world))
    assert np.mean(by_prompt) == pytest.approx(np.mean(apart), abs=0.02)
    assert np.mean(by_row) > np.mean(apart) + 0.15


@pytest.mark.parametrize(("split", "half"), [(-1, 0), (0, 2), (1, -1)])
def test_another_half_is_an_error(split: int, half: int) -> None:
    with pytest.raises(UserError, match=f"half {half} of split {split}"):
        half_of(rows_of("abc"), split, half)


def test_one_prompt_cannot_be_halved() -> None:
    with pytest.raises(UserError, match="3 rows with 1 distinct prompts"):
        half_of(rows_of("aaa"), 0, 0)
