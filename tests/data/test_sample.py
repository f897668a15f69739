"""Samples: fixed by seed and prompts, whatever names them; disjoint for disjoint offsets, growing with n."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety_regions.data.duplicates import jaccard, normalise, words_of
from safety_regions.data.sample import sample, sample_apart, seeded_order
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


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a b", "A b!", "c", "d"]), st.sampled_from([None, "yes", "no"]))))
def test_the_order_follows_from_prompts_and_responses_and_not_from_ids(pairs):
    def order(pairs, name):
        rows = [{"id": f"{name}-{i}", "prompt": prompt, "response": of} for i, (prompt, of) in enumerate(pairs)]
        return [(row["prompt"], row["response"]) for row in seeded_order(rows, 3)]

    assert order(pairs, "toy") == order(pairs[::-1], "other")


def test_the_order_of_prompts_is_that_of_another_file_with_the_same_ones():
    """Case, punctuation and responses do not decide it."""
    rows = texts(*(f"Paint the {noun}!" for noun in "abcdefgh"))
    others = [
        {"id": f"file-{row['id']}", "prompt": row["prompt"].upper()[:-1], "response": f"Sure {i}."}
        for i, row in enumerate(rows)
    ]
    one, other = seeded_order(rows, 0), seeded_order(others, 0)
    assert [normalise(row["prompt"]) for row in one] == [normalise(row["prompt"]) for row in other]


def test_repeats_of_a_prompt_are_drawn_independently_and_equal_rows_in_their_order():
    rows = texts(*(f"word{i % 8}" for i in range(32)))
    drawn = seeded_order(rows, 0)
    assert len({row["prompt"] for row in drawn[:8]}) > 2
    of_one = [row["id"] for row in drawn if row["prompt"] == "word0"]
    assert of_one != sorted(of_one) and sorted(of_one) == [f"toy-{i:06d}" for i in (0, 8, 16, 24)]


def test_the_seeded_order_is_the_same_on_every_machine():
    assert [row["id"][-1] for row in seeded_order(numbered(8), seed=0)] == list("53026741")


def test_repeats_are_counted_from_0_by_one():
    """What lets another program draw the same sample."""
    keys = {f"toy-{k:06d}": hashlib.sha256(f"5:{k}:paint it".encode()).hexdigest() for k in range(9)}
    assert [row["id"] for row in seeded_order(texts(*["Paint it!"] * 9), seed=5)] == sorted(keys, key=keys.get)


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


def test_prompts_apart_repeat_none_of_the_others_and_nearly_repeat_them_last():
    others = texts("Paint the old fence red", "wash the small car")
    rows = texts("paint the old FENCE red!", "paint the old fence blue", "feed the cat", "sing a song", "run")
    apart = sample_apart(rows, others, 3, 0, near_duplicate=0.6)
    assert {row["prompt"] for row in apart.rows} == {"feed the cat", "sing a song", "run"}
    assert (apart.n_left_out, apart.n_near) == (1, 0)
    all_of_them = sample_apart(rows, others, 4, 0, near_duplicate=0.6)
    assert all_of_them.rows[:3] == apart.rows and all_of_them.rows[3]["prompt"] == "paint the old fence blue"
    assert (all_of_them.n_left_out, all_of_them.n_near) == (1, 1)
    assert sample_apart(rows, others, 4, 0, near_duplicate=1.0).n_near == 0


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a b c", "a b", "C b a", "d e", "D, e", "f"]), min_size=6), st.integers(0, 4))
def test_prompts_apart_are_in_the_seeded_order_behind_the_offset(prompts, offset):
    rows, others = texts(*prompts), texts("a b c", "g")
    behind = [row for row in seeded_order(rows, 1)[offset:] if normalise(row["prompt"]) != "a b c"]
    near = {row["id"] for row in behind if jaccard(words_of(row["prompt"]), words_of("a b c")) >= 0.6}
    wanted = [row for row in behind if row["id"] not in near] + [row for row in behind if row["id"] in near]
    apart = sample_apart(rows, others, len(behind), 1, offset, near_duplicate=0.6)
    assert apart.rows == wanted and apart.n_near == len(near)


def test_too_few_prompts_apart_are_counted_in_the_message():
    with pytest.raises(UserError) as error:
        sample_apart(texts("a", "b", "A!"), texts("a"), 2, 0)
    assert error.value.found.startswith("1 prompts behind the first 0 (of 3; 2 more repeat prompts")
    assert error.value.expected == "at least 2"
