"""Filters, columns and dialogues: which rows count, and what a row's prompt and response are."""

import re

import pytest
import yaml

from safety_regions.config.datasets import DatasetSpec
from safety_regions.data.formats import SourceRow
from safety_regions.data.mapping import map_rows, single_turn
from safety_regions.errors import UserError


def mapped(cells: list[dict], **options):
    spec = DatasetSpec.model_validate(
        {"source": {"kind": "synthetic", "name": "x"}, "licence": "MIT", "citation": "us", **options}
    )
    return map_rows("toy", spec, [SourceRow(f"row {i}", row) for i, row in enumerate(cells, 1)], "dataset toy")


def prompts(cells: list[dict], **options) -> list[str]:
    return [row["prompt"] for row in mapped(cells, **options)[0]]


def message(cells: list[dict], **options) -> UserError:
    with pytest.raises(UserError) as error:
        mapped(cells, **options)
    return error.value


LABELLED = [{"prompt": "a", "ok": True}, {"prompt": "b", "ok": False}, {"prompt": "c", "ok": True}]


def test_ids_count_the_rows_of_the_source_not_the_kept_ones():
    rows, dropped = mapped(LABELLED, keep={"ok": ["True"]})
    assert rows == [
        {"id": "toy-000000", "prompt": "a", "response": None},
        {"id": "toy-000002", "prompt": "c", "response": None},
    ]
    assert dropped == {"keep": 1, "drop": 0, "extract": 0, "drop_words": 0}


@pytest.mark.parametrize("blank", [None, "", " \n"])
def test_what_the_hint_of_an_empty_prompt_says_leaves_it_out(blank):
    rows = [{"q": "a"}, {"q": blank}]
    said = re.search(r"`(drop: .*)`", message(rows, prompt="q").hint)
    assert prompts(rows, prompt="q", **yaml.safe_load(said[1])) == ["a"]


def test_keep_and_drop_of_the_same_values_part_the_rows():
    kept, dropped = prompts(LABELLED, keep={"ok": ["True"]}), prompts(LABELLED, drop={"ok": ["True"]})
    assert sorted(kept + dropped) == ["a", "b", "c"]
    assert not set(kept) & set(dropped)


def test_drop_words_meets_the_start_of_words_in_prompt_and_response():
    cells = [
        {"prompt": "a new skill", "r": "fine"},
        {"prompt": "Killing time", "r": "fine"},
        {"prompt": "c", "r": "I'm SORRY."},
        {"prompt": "d", "r": None},
    ]
    assert prompts(cells, response="r", drop_words=["kill", "sorry"]) == ["a new skill", "d"]


def test_several_prompt_columns_are_joined_and_empty_ones_left_out():
    cells = [{"i": "Sort.", "x": "3 1 2"}, {"i": "Sing.", "x": ""}, {"i": "Run.", "x": None}]
    assert prompts(cells, prompt=["i", "x"]) == ["Sort.\n\n3 1 2", "Sing.", "Run."]


def test_dots_reach_into_nested_cells_unless_a_column_has_that_very_name():
    assert prompts([{"a": [{"b": "deep"}]}], prompt="a.0.b") == ["deep"]
    assert prompts([{"a": {"b": "deep"}, "a.b": "flat"}], prompt="a.b") == ["flat"]


def test_an_empty_response_is_none():
    assert mapped([{"prompt": "a", "r": ""}], response="r")[0][0]["response"] is None


@pytest.mark.parametrize(
    ("dialogue", "turns"),
    [
        ("\n\nHuman: Paint it.\n\nAssistant: Sure.", ("Paint it.", "Sure.")),
        ("\n\nHuman: Two\n\nlines\n\nAssistant: Sure.\n\nReally.", ("Two\n\nlines", "Sure.\n\nReally.")),
        ("\n\nHuman: a\n\nAssistant:", ("a", "")),
        ("\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d", None),
        ("\n\nHuman: a", None),
        ("\n\nHuman: \n\nAssistant: b", None),
        ("no dialogue", None),
        ("preface\n\nHuman: a\n\nAssistant: b", None),
    ],
)
def test_single_turn_keeps_the_turns_of_one_exchange(dialogue, turns):
    assert single_turn(dialogue) == turns


def test_the_response_of_a_dialogue_is_the_turn_of_the_assistant_alone():
    cells = [
        {"chosen": "\n\nHuman: Paint it.\n\nAssistant: Sure.", "other": "\n\nHuman: Paint it.\n\nAssistant: Gladly."},
        {"chosen": "\n\nHuman: Sing.\n\nAssistant:", "other": "La la."},
        {"chosen": "\n\nHuman: Run.\n\nAssistant: No.", "other": "\n\nHuman: Run.\n\nAssistant: a\n\nHuman: b"},
    ]
    rows, dropped = mapped(cells, prompt="chosen", response="chosen", extract="single_turn")
    assert [(row["prompt"], row["response"]) for row in rows] == [
        ("Paint it.", "Sure."),
        ("Sing.", None),
        ("Run.", "No."),
    ]
    rows, dropped = mapped(cells, prompt="chosen", response="other", extract="single_turn")
    assert [(row["prompt"], row["response"]) for row in rows] == [("Paint it.", "Gladly."), ("Sing.", "La la.")]
    assert dropped["extract"] == 1
    assert mapped(cells[:1], prompt="chosen", response="chosen")[0][0]["response"] == cells[0]["chosen"]


def test_dialogues_of_more_turns_are_counted_as_dropped():
    cells = [{"prompt": "\n\nHuman: a\n\nAssistant: b"}, {"prompt": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c"}]
    rows, dropped = mapped(cells, extract="single_turn")
    assert [row["prompt"] for row in rows] == ["a"]
    assert dropped["extract"] == 1


def test_a_missing_column_is_named_with_its_row_and_its_neighbours():
    error = message([{"goal": "a", "target": "b"}], prompt="gaol")
    assert error.where == "dataset toy, row 1"
    assert error.expected == "one of: goal, target"
    assert "'goal'" in error.hint


def test_a_missing_step_of_a_nested_column_lists_what_is_inside():
    assert message([{"a": [{"b": "x"}]}], prompt="a.1.b").expected == "one of: 0"
    assert message([{"a": [{"b": "x"}]}], prompt="a.0.c").expected == "one of: b"


@pytest.mark.parametrize(
    ("value", "found"),
    [("", "empty prompt"), (" \n", "empty prompt"), (None, "empty prompt"), (7, "int '7'"), (["a"], "list")],
)
def test_a_prompt_that_is_no_text_stops_the_run_and_names_its_row(value, found):
    error = message([{"prompt": "fine"}, {"prompt": value}])
    assert error.where == "dataset toy, row 2"
    assert error.found.startswith(found)


def test_no_prompt_is_looked_at_in_a_row_that_a_filter_drops():
    assert prompts([{"prompt": None, "l": "x"}, {"prompt": "b", "l": "y"}], keep={"l": ["y"]}) == ["b"]


def test_an_empty_result_shows_the_values_that_the_filter_could_have_named():
    error = message(LABELLED, keep={"ok": ["yes"]})
    assert "dropped by keep 3" in error.found
    assert "'False', 'True'" in error.hint
    assert message([]).found == "no rows"
