"""What the summary says of responses that were cut, empty, left out, degenerate or not in English, and of repeats."""

import pandas as pd
import pytest

from safety_regions.report import summary

FACTS = {"n_samples": 98, "n_cut": 90, "n_empty": 3, "n_left_out": 2}


@pytest.mark.parametrize(
    ("second", "line"),
    [
        (FACTS, "m: of 200 responses 184 were cut at the length limit, 6 empty{}.  "),
        (FACTS | {"n_left_out": 0}, "m: of 198 responses 182 were cut at the length limit, 6 empty{}.  "),
    ],
)
def test_responses_are_counted_over_the_sets_of_a_model(second, line):
    n_out = FACTS["n_left_out"] + second["n_left_out"]
    left_out = f", of which {n_out}, without a token, were left out"
    assert summary._cut({"m": {"a": FACTS, "b": second}}) == [line.format(left_out)]


def test_where_none_was_left_out_nothing_is_said_of_it():
    sets = {"a": {key: n for key, n in FACTS.items() if key != "n_left_out"}}
    assert summary._cut({"m": sets}) == ["m: of 98 responses 90 were cut at the length limit, 3 empty.  "]


def test_sets_with_answers_in_other_languages_are_named():
    sets = {"a": FACTS | {"n_foreign": 0}, "b": FACTS | {"n_foreign": 7}}
    (line,) = summary._cut({"m": sets})
    assert line.endswith(" Not in English, so that refusals among them are not known: 7 of b.  ")


def test_the_share_of_degenerate_responses_stands_beside_that_of_refusals():
    sets = {"a": FACTS | {"share_refused": 0.5, "share_degenerate": 0.25}}
    assert summary._refusals({"m": sets}, ["a"])[-1] == "| m | 0.50 / 0.25 |"


def test_sets_of_one_sentence_are_told():
    sets = {"a": FACTS | {"n_distinct_responses": 19, "share_commonest_response": 0.82}, "b": FACTS}
    assert summary._distinct({"m": sets}, ["a"])[-2] == "| m | 19 (0.82) |"
    assert summary._distinct({"m": sets}, ["a", "b"]) == []


def test_what_all_sets_and_half_of_them_agree_on_stands_beside_chance():
    about = {"model": "m", "method": "snip", "stage": "raw"}
    rows = [about | {"n_sets": k, "elements": 90 >> k, "floor_elements": 9.0 / k, "held": 50.0} for k in (1, 2, 3)]
    gone = [row | {"stage": "refined", "elements": 0, "floor_elements": 0.0, "held": 0.0} for row in rows]
    told = (
        "- m, snip, before refinement: 3 sets; of the mean region's elements 22% (chance 6%) are in all, "
        "44% (chance 9%) in at least half."
    )
    assert summary._agreement(pd.DataFrame(rows + gone)) == ["## What the sets agree on", "", told, ""]
    assert summary._agreement(pd.DataFrame(gone)) == summary._agreement(pd.DataFrame()) == []


def test_repeated_prompts_are_counted_by_set_and_nothing_is_said_where_there_are_none():
    sets = {"a": FACTS | {"n_repeats": 3}, "b": FACTS | {"n_repeats": 0}, "c": FACTS | {"n_repeats": 1}}
    told = "Prompts that repeat one before them but for case and punctuation: a 3, c 1."
    assert summary._repeats({"m": sets, "n": sets}) == [told, ""]
    assert summary._repeats({"m": {"a": FACTS}}) == []
