"""A table is made once: the page and the summary have the same rows, each with its own way to write numbers."""

import math
from pathlib import Path

import pandas as pd
import pytest
from pages import HOSTILE, make_tables

from safety_regions.claims.estimates import ESTIMATES
from safety_regions.claims.influence import CHANGES
from safety_regions.report.claim_tables import (
    ESTIMATE_NAMES,
    estimates_table,
    influence_table,
    stability_table,
    utilities_table,
)
from safety_regions.report.columns import Bar
from safety_regions.report.inputs import Part
from safety_regions.report.tables import across_table, evaluation_table, headline_table


def test_what_a_model_does_without_a_region_stands_above_its_controls():
    table = evaluation_table(make_tables().evaluated)
    about, harmless, surprise = ["tiny-llama", "snip", HOSTILE], ["0.250", "0.125"], "1.23e+04"
    beside = ["0.000", "0.000", *harmless, surprise]
    assert table.cells() == [
        [*about, "nothing", "5%", "1", *beside, ""],
        [*about, "the refined region", "5%", "0.250", *beside, "yes"],
        [*about, "random, as many", "5%", "0.750", *beside, ""],
    ]
    first, second, _ = table.markdown()[2:]
    assert (
        first == f"| tiny-llama | snip | {HOSTILE} | intact | 0.050 | 1.00 | 0.00 | 0.00 | 0.25 | 0.12 | 1.23e+04 |  |"
    )
    assert second.startswith(f"| tiny-llama | snip | {HOSTILE} | refined | 0.050 | 0.25 | 0.00 | 0.00 |")
    assert second.endswith(" | 0.25 | 0.12 | 1.23e+04 | yes |")


def test_several_draws_of_a_control_have_a_mean_and_two_ends():
    evaluated = make_tables().evaluated
    other = evaluated[evaluated["condition"] == "random"].assign(refusal_rate=0.5)
    table = evaluation_table(pd.concat([evaluated, other]))
    assert table.cells()[2][5] == "0.625 (0.500 to 0.750)"
    assert "| 0.62 (0.50–0.75) |" in table.markdown()[4]


def test_estimates_have_intervals_and_a_bar_on_the_page_alone():
    table = estimates_table(make_tables().estimates)
    interval, place = "0.500 [0.500, 0.500]", "−0.100 [−0.100, −0.100]"
    about = ["tiny-llama", "snip", "before"]
    between, ceiling, unlimited = (f"{value} [{value}, {value}]" for value in ("0.400", "0.900", "0.600"))
    assert table.cells() == [
        [*about, interval, "0.026", "16", between, ceiling, place, Bar(0.0, 0.0, 0.0), unlimited, "0.800", "", "", "4"]
    ]
    assert table.markdown() == [
        "| model | method | stage | IoU | prompts of a half | between | ceiling | place | unlimited "
        "| size-matched IoU | placebo IoU |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        "| tiny-llama | snip | raw | 0.500 (0.500 to 0.500) | 16 | 0.400 (0.400 to 0.400) | 0.900 (0.900 to 0.900) "
        "| -0.100 (-0.100 to -0.100) | 0.600 (0.600 to 0.600) | – | – |",
    ]


def test_each_utility_set_has_a_line_with_what_is_left_and_what_is_gone():
    table, half = utilities_table(make_tables().utilities), "0.500 [0.500, 0.500]"
    assert table.cells() == [["tiny-llama", "snip", HOSTILE, "0.250", half, half, "0.020"]]
    assert table.markdown()[0] == "| model | method | utility | taken | refined IoU | drop | floor |"


def test_each_estimate_names_the_set_that_moves_it_most():
    table = influence_table(make_tables().influence)
    assert table.cells() == [["tiny-llama", "snip", "before", "IoU between sets", "0.500", HOSTILE, "0.250"]]
    assert {*ESTIMATES, "apart", *CHANGES} == set(ESTIMATE_NAMES)


def test_marks_of_other_choices_stand_in_the_order_of_the_grid_with_the_share_that_agrees():
    table = stability_table(make_tables().stability)
    assert table.cells() == [["tiny-llama", "snip", HOSTILE, "✓ holds", "?[✓]✓", "", "✓✓✓✓", "5 of 6"]]
    alone = make_tables().stability.iloc[:1]
    assert stability_table(alone).cells()[0][3:] == ["✓ holds", "", "", "", "–"]


@pytest.mark.parametrize(
    ("value", "page", "summary"), [(0.5, "0.500 (0.020)", "0.500 (0.020)"), (math.nan, "–", "– (–)")]
)
def test_an_iou_stands_beside_its_floor(value, page, summary):
    headline = make_tables().headline
    ious = [column for column in headline if "iou" in column]
    floors = [column for column in headline if "floor" in column]
    table = headline_table(headline.assign(**dict.fromkeys(ious, value), **dict.fromkeys(floors, 0.04 * value)))
    assert table.cells() == [["tiny-llama", "snip", *[page] * 4]]
    assert table.markdown()[2] == f"| tiny-llama | snip | {' | '.join([summary] * 4)} |"


def test_methods_are_compared_by_means_over_the_sets():
    across = make_tables().across
    table = across_table(pd.concat([across, across.assign(iou=1.0)]))
    assert table.cells() == [["tiny-llama", "snip, wanda", *["0.750 (0.020)", "0.600"] * 2]]


@pytest.mark.parametrize(
    ("role", "kind", "model", "method"),
    [
        ("overlap/tiny.snip", "overlap", "tiny", "snip"),
        ("across/tiny", "across", "tiny", ""),
        ("prompt_overlap", "prompt_overlap", "", ""),
    ],
)
def test_a_part_is_known_by_its_role(role, kind, model, method):
    part = Part.of_role(role, Path("results"), "0" * 64)
    assert (part.kind, part.model, part.method) == (kind, model, method)
    assert role == "/".join(filter(None, [part.kind, part.about]))
