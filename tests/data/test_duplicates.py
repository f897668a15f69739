"""Near duplicates are exactly those that comparing all pairs finds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety_regions.data.duplicates import (
    RESPONSE_FACTS,
    NearIndex,
    first_of_each,
    jaccard,
    n_repeats,
    normalise,
    response_facts,
    words_of,
)

word_sets = st.lists(st.frozensets(st.sampled_from("abcdefgh"), min_size=1), max_size=12)
prompts = st.lists(
    st.lists(st.sampled_from(["red", "green", "blue", "old", "new"]), min_size=1, max_size=5).map(" ".join), max_size=10
)
thresholds = st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.55, 0.6, 2 / 3, 0.7, 0.9, 1.0])


@settings(deadline=None)
@given(word_sets, word_sets, thresholds)
def test_the_index_finds_what_comparing_all_pairs_finds(members, queries, threshold):
    index = NearIndex(members, threshold)
    for number, words in enumerate(members):
        index.add(number, words)
    for words in queries:
        expected = {i for i, other in enumerate(members) if jaccard(words, other) >= threshold}
        found = list(index.find(words))
        assert set(found) == expected
        assert len(found) == len(expected)


def test_a_pair_at_the_threshold_is_found_where_the_product_is_rounded_up():
    shared = frozenset(f"s{i}" for i in range(14))
    a, b = shared, shared | {f"b{i}" for i in range(11)}
    assert jaccard(a, b) == 0.56
    assert 0.56 * 25 > 14
    index = NearIndex([a, b], 0.56)
    index.add("a", a)
    assert list(index.find(b)) == ["a"]


@settings(deadline=None)
@given(word_sets)
def test_jaccard_is_symmetric_and_one_only_for_equal_sets(sets):
    for a in sets:
        for b in sets:
            assert jaccard(a, b) == jaccard(b, a)
            assert (jaccard(a, b) == 1.0) == (a == b)


@settings(deadline=None)
@given(prompts, prompts, thresholds)
def test_what_is_kept_repeats_nothing_and_what_is_dropped_repeats_something(texts, earlier, threshold):
    kept = first_of_each(texts, earlier, threshold)
    known = [words_of(text) for text in earlier]
    for i, text in enumerate(texts):
        repeats = any(jaccard(words_of(text), other) >= threshold for other in known)
        assert (i in kept) == (not repeats)
        if not repeats:
            known.append(words_of(text))


@pytest.mark.parametrize(
    "same", ["Paint the fence!", "  paint\tTHE  fence ", "«Paint the fence.»", "ｐａｉｎｔ the fence"]
)
def test_case_width_punctuation_and_spaces_do_not_count(same):
    assert normalise(same) == "paint the fence"


@pytest.mark.parametrize("other", ["paint the fences", "paint fence", "2 + 3"])
def test_words_and_symbols_do_count(other):
    assert normalise(other) not in {"paint the fence", "2 3"}


def test_texts_of_punctuation_alone_differ():
    assert normalise("?") != normalise("!")
    assert first_of_each(["?", "!", "?"], [], 0.6) == [0, 1]


def test_repeats_are_counted_without_the_first():
    assert n_repeats(["Wash it.", "wash it", "paint it", "WASH IT!"]) == 2
    assert n_repeats([]) == 0


def test_responses_are_counted_once_each_and_those_given_again_are_told_without_their_text():
    facts = response_facts(["I can't.", "i can’t", "Sure: 4", "I CAN'T", "Sure: 5", "sure 4"])
    assert (facts["n_distinct_responses"], facts["share_commonest_response"]) == (3, 0.5)
    assert list(facts["repeated_responses"].values()) == [3, 2]
    assert all(len(key) == 12 and not set(key) - set("0123456789abcdef") for key in facts["repeated_responses"])
    assert response_facts(["I CAN'T", "i can't"])["repeated_responses"].keys() < facts["repeated_responses"].keys()
    assert list(facts) == list(RESPONSE_FACTS)
    assert response_facts([]) == {
        "n_distinct_responses": 0,
        "share_commonest_response": 0.0,
        "repeated_responses": {},
    }


NEAR = {
    "English": (
        "How do I paint the old fence behind the house?",
        "How do I paint the old wall behind the house?",
        "Give me three ideas for a cheap dinner with rice.",
    ),
    "Arabic": (
        "كيف أطلي السياج القديم خلف المنزل",
        "كيف أطلي الجدار القديم خلف المنزل",
        "أعطني ثلاث أفكار لعشاء رخيص مع الأرز",
    ),
    "Chinese": ("我怎么粉刷房子后面的旧栅栏？", "我怎么粉刷房子后面的旧墙壁？", "给我三个用米饭做便宜晚餐的主意。"),
    "Japanese": (
        "家の裏にある古い柵をどうやって塗ればいいですか？",
        "家の裏にある古い壁をどうやって塗ればいいですか？",
        "米を使った安い夕食のアイデアを三つください。",
    ),
    "Thai": (
        "ฉันจะทาสีรั้วเก่าหลังบ้านได้อย่างไร",
        "ฉันจะทาสีกำแพงเก่าหลังบ้านได้อย่างไร",
        "ขอไอเดียอาหารเย็นราคาถูกที่ใช้ข้าวสามอย่าง",
    ),
}
"""By language: a prompt, the same with another noun, and one of something else."""


@pytest.mark.parametrize("language", NEAR)
def test_near_duplicates_are_found_with_and_without_spaces_between_words(language):
    prompt, near, other = map(words_of, NEAR[language])
    assert jaccard(prompt, near) >= 0.6
    assert jaccard(prompt, other) <= 0.25


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("家で iPhone3台を買う。", {"家", "で", "iphone3", "台", "を", "買", "う"}),
        ("コートと帽子", {"コー", "ート", "トと", "帽", "子"}),
        ("日々〇", {"日", "々", "〇"}),
        ("ทาสี", {"ทา", "าส", "สี"}),
        ("ｶﾚｰ", {"カレ", "レー"}),
        ("울타리를 칠하다", {"울타리를", "칠하다"}),
        ("ང་ཚོ།", {"ང", "ཚོ"}),
    ],
)
def test_words_of_each_script(text, words):
    assert words_of(text) == words
