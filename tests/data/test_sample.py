"""Samples: fixed by seed and ids, disjoint for disjoint offsets, growing with n."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety_regions.data.sample import sample, seeded_order
from safety_regions.errors import UserError


def numbered(n: int) -> list[dict]:
    return [{"id": f"toy-{i:06d}", "prompt": f"word{i}", "response": None} for i in range(n)]


def texts(*prompts: str) -> list[dict]:
    return [{"id": f"toy-{i:06d}", "prompt": prompt, "response": None} for i, prompt in enumerate(prompts)]


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 3))
def test_offsets_part_the_rows(n, first, second, seed):
    rows = numbered(first + second + n)
    a, b = sample(rows, [], first, seed), sample(rows, [], second, seed, offset=first)
    assert a + b == sample(rows, [], first + second, seed)
    assert len({row["id"] for row in a + b}) == first + second


@settings(deadline=None)
@given(st.permutations(range(8)), st.integers(0, 3))
def test_the_order_of_the_source_does_not_matter_without_de_duplication(order, seed):
    rows = numbered(8)
    assert sample([rows[i] for i in order], [], 5, seed) == sample(rows, [], 5, seed)


def test_the_seeded_order_is_the_same_on_every_machine():
    assert [row["id"][-1] for row in seeded_order(numbered(8), seed=0)] == list("42567310")


def test_seeds_give_different_orders():
    assert len({tuple(row["id"] for row in seeded_order(numbered(8), seed)) for seed in range(20)}) == 20


def test_within_keeps_the_first_row_of_each_repeat():
    rows = texts("Paint the old fence.", "a b c d", "paint the OLD fence", "paint the old fence now")
    left = sample(rows, [], 2, 0, deduplicate="within", near_duplicate=0.6)
    assert {row["id"] for row in left} == {"toy-000000", "toy-000001"}
    assert len(sample(rows, [], 3, 0, deduplicate="within", near_duplicate=1.0)) == 3


def test_across_also_drops_what_an_earlier_set_has():
    rows, earlier = texts("paint the fence", "wash the car"), texts("Wash the car?", "something else")
    assert [row["prompt"] for row in sample(rows, [earlier], 1, 0, deduplicate="across")] == ["paint the fence"]
    assert len(sample(rows, [earlier], 2, 0, deduplicate="within")) == 2


def test_too_few_rows_are_counted_in_the_message():
    with pytest.raises(UserError) as error:
        sample(texts("a b", "a b", "c d"), [], 2, 0, offset=1, deduplicate="within")
    assert error.value.found == "2 prompts after de-duplication (of 3)"
    assert error.value.expected.startswith("at least 3")
    assert error.value.hint == "set n_samples to 1 or less, or deduplicate: none"
    with pytest.raises(UserError, match="lower offset"):
        sample(numbered(3), [], 1, 0, offset=5)
