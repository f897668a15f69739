"""docs/architecture.md and its picture say what the code is."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRAWN = runpy.run_path(str(ROOT / "docs/draw_architecture.py"))
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
MOST_LINES = 4
"""Lines of text for which a box has room."""


def test_the_picture_is_that_of_the_code():
    assert DRAWN["PICTURE"].read_text(encoding="utf-8") == DRAWN["picture"](), "run: python docs/draw_architecture.py"


def test_the_page_has_the_floors_of_the_contract():
    rows = re.findall(r"^\| (?:outside|\d+) \| (.*?) \|", PAGE, re.MULTILINE)
    outside, *below = [set(re.findall(r"`(\w+)`", row)) for row in rows]
    highest, *others = [set(floor) for floor in DRAWN["floors"]()]
    assert [highest - outside, *others] == below and outside == set(DRAWN["CALLERS"])
    assert re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE) == [str(n) for n in range(len(below), 0, -1)]


@pytest.mark.parametrize("room", [room for floor in DRAWN["floors"]() for room in floor])
def test_every_room_says_what_it_is_for_in_a_sentence_that_fits(room):
    text = DRAWN["purpose"](room)
    assert text.endswith(".") and len(text) <= MOST_LINES * DRAWN["LETTERS"] - 8


def test_arrows_that_follow_from_others_are_left_out():
    few = DRAWN["without_those_that_follow"]({"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()})
    assert few == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_every_word_is_explained_once():
    words = [word for line in PAGE.splitlines() for word in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", line)]
    assert len(words) == len(set(words)) > 25


def test_the_graph_of_the_rules_is_that_of_snakemake():
    rules = runpy.run_path(str(ROOT / "docs/draw_rules.py"))
    text = rules["PAGE"].read_text(encoding="utf-8")
    assert rules["page"](text) == text, "run: python docs/draw_rules.py"
    rule = re.search(r"^rule (\w+):", (ROOT / "rules/constrain.smk").read_text(encoding="utf-8"), re.MULTILINE)
    assert rule and f" {rule[1]} " in rules["GRAPH"].search(text)[0]
