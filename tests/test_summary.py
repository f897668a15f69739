"""What the summary says of responses that were cut, empty, or left out."""

import pytest

from safety_regions.report import summary

FACTS = {"n_samples": 98, "n_cut": 90, "n_empty": 3, "n_left_out": 2}


@pytest.mark.parametrize(
    ("second", "line"),
    [
        (
            FACTS,
            "m: of 200 responses 184 were cut at the length limit, 6 empty, of which 4, without a token, were left out.  ",
        ),
        (
            FACTS | {"n_left_out": 0},
            "m: of 198 responses 182 were cut at the length limit, 6 empty, of which 2, without a token, were left out.  ",
        ),
    ],
)
def test_responses_are_counted_over_sets_and_once_for_all_methods(second, line):
    sets = {"a": FACTS, "b": second}
    assert summary._cut({"m.snip": sets, "m.wanda": sets}) == [line]


def test_where_none_was_left_out_nothing_is_said_of_it():
    sets = {"a": {key: n for key, n in FACTS.items() if key != "n_left_out"}}
    assert summary._cut({"m.snip": sets}) == ["m: of 98 responses 90 were cut at the length limit, 3 empty.  "]
