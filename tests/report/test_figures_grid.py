"""The surface over (q, p) and the growth of the union: their numbers, against literal ones, and what is drawn."""

from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figure_tables import GRID, context_of, make_context, make_tables, words

from safety_regions.report.figures.agreement import agreement_table, draw_agreement
from safety_regions.report.figures.nway import draw_nway, nway_table
from safety_regions.report.figures.surface import draw_surface, signed, surface_table

Q, P = 0.25, 0.5
CONTEXT = context_of("m", "snip", 8, Q, P, "matrix", ["x", "y", "z"], ["u"])


def surface_pairs(rows: list[tuple]) -> pd.DataFrame:
    columns = ["stage", "utility", "q", "p", "scope", "iou", "floor_iou", "size_a", "size_b"]
    return pd.DataFrame(rows, columns=columns)


def test_surface_has_means_over_pairs_and_the_share_of_the_overlap_beyond_chance_that_is_taken():
    pairs = surface_pairs(
        [
            ("raw", "", 0.1, np.nan, "all", 0.5, 0.1, 10, 10),
            ("raw", "", 0.1, np.nan, "all", 0.7, 0.1, 10, 10),
            ("raw", "", 0.1, np.nan, "layer", 0.0, 0.0, 1, 1),
            ("refined", "union", 0.1, 0.2, "all", 0.2, 0.05, 4, 6),
            ("refined", "union", 0.1, 0.2, "all", np.nan, np.nan, 0, 0),
            ("refined", "other", 0.1, 0.2, "all", 0.9, 0.0, 9, 9),
        ]
    )
    table = surface_table(pairs, CONTEXT).set_index(["q", "p"])
    assert list(table.index) == [(0.1, 0.0), (0.1, 0.2)]
    assert table.loc[(0.1, 0.0), ["iou", "floor_iou", "taken", "size"]].tolist() == pytest.approx([0.6, 0.1, 0, 1])
    assert table.loc[(0.1, 0.2), ["iou", "floor_iou", "size"]].tolist() == pytest.approx([0.2, 0.05, 0.25])
    assert table.loc[(0.1, 0.2), "taken"] == pytest.approx(1 - 0.15 / 0.5)
    assert table.loc[(0.1, 0.2), ["n_defined", "n_undefined"]].tolist() == [1, 1]


def test_nothing_is_taken_from_what_was_no_more_than_chance():
    raw = ("raw", "", 0.1, np.nan, "all", 0.1, 0.1, 10, 10)
    refined = ("refined", "union", 0.1, 0.2, "all", 0.0, 0.05, 4, 4)
    assert surface_table(surface_pairs([raw, refined]), CONTEXT)["taken"].isna().all()


def test_surface_frames_the_runs_fractions_and_prints_the_iou_before_refinement():
    context, tables = make_context(3), make_tables(3, 0.6, 0.2)
    table = surface_table(tables["pairs"], context)
    figure = draw_surface(table, context)
    iou, taken = figure.axes[:2]
    assert len(table) == len(GRID) * (len(GRID) + 1)
    at = GRID.index(0.05)
    values = table.set_index(["q", "p"])
    shown = {text.get_position(): text.get_text() for text in iou.texts}
    assert [shown[column, 0] for column in range(len(GRID))] == [signed(values["iou"][q, 0.0]) for q in GRID]
    assert shown[at, at + 1] == signed(values["iou"][0.05, 0.05])
    assert {text.get_position() for text in taken.texts if text.get_text() == signed(values["taken"][0.05, 0.05])}
    for axis in (iou, taken):
        assert {(p.get_x() + 0.5, p.get_y() + 0.5) for p in axis.patches} == {(at, at + 1)}


def test_surface_draws_what_is_constant_undefined_or_of_one_fraction():
    context = context_of("m", "snip", 8, 0.1, 0.2, "matrix", ["x", "y"], ["u"])
    raw = ("raw", "", 0.1, np.nan, "all", 0.4, 0.1, 10, 10)
    for value in (0.6, np.nan):
        pairs = surface_pairs([raw, ("refined", "union", 0.1, 0.2, "all", value, 0.05, 4, 4)])
        figure = draw_surface(surface_table(pairs, context), context)
        figure.draw_without_rendering()
        text = words(figure)
        # More overlap beyond chance than before: less than nothing was taken.
        assert ("–" if np.isnan(value) else "−.83") in text and "nan" not in " ".join(text).lower()


def random_unions(sizes: list[int], open_elements: int) -> float:
    """Mean size of the union over all regions of these sizes."""
    choices = [list(combinations(range(open_elements), size)) for size in sizes]
    return float(np.mean([len(set().union(*regions)) for regions in product(*choices)]))


def size_rows(regions: dict[str, list[int]], elements: list[int], module: str = "q", **fixed) -> list[dict]:
    return [
        {**fixed, "dataset": name, "layer": layer, "module": module, "size": size, "n_elements": elements[layer]}
        for name, of in regions.items()
        for layer, size in enumerate(of)
    ]


RAW: dict[str, Any] = {"stage": "raw", "utility": "", "q": Q, "p": np.nan}
REFINED: dict[str, Any] = {"stage": "refined", "utility": "union", "q": Q, "p": P}


def grown_rows(orders: list[str], unions: dict[str, list[int]]) -> pd.DataFrame:
    """The n-way table of orders such as "xyz"; by order the union's size from the second set on."""
    rows = []
    for stage in (RAW, REFINED):
        for number, order in enumerate(orders):
            steps = zip(order[1:], unions[order], strict=True)
            rows += [
                {**stage, "order": number, "n": n, "added": added, "union": union, "iou": 0.5, "floor_iou": 0.1}
                for n, (added, union) in enumerate(steps, 2)
            ]
    return pd.DataFrame(rows)


def test_union_grows_over_orders_and_its_floor_is_that_of_random_regions_of_the_same_sizes():
    elements, raw, removed = [4, 3], {"x": [2, 1], "y": [1, 2], "z": [3, 0]}, [1, 1]
    refined = {"x": [2, 1], "y": [1, 0], "z": [2, 0]}
    sizes = size_rows(raw, elements, role="safety", **RAW) + size_rows(refined, elements, role="safety", **REFINED)
    sizes += size_rows({"union": removed}, elements, role="utility", **RAW | {"q": P})
    nway = grown_rows(["xyz", "zyx"], {"xyz": [5, 6], "zyx": [4, 6]})
    table = nway_table(nway, pd.DataFrame(sizes), CONTEXT).set_index(["stage", "n"])
    assert table["union"]["raw"].tolist() == pytest.approx([3 / 7, 4.5 / 7, 6 / 7])
    assert table["union_low"]["raw", 2] < 4.5 / 7 < table["union_high"]["raw", 2]
    assert table["union_change"]["raw", 3] == pytest.approx(6 / 4.5 - 1) and np.isnan(table["union_change"]["raw", 1])
    assert np.isnan(table["iou"]["raw", 1]) and table["iou"]["raw", 2] == 0.5
    for stage, of, gone in (("raw", raw, [0, 0]), ("refined", refined, removed)):
        for n in (1, 2, 3):
            expected = [
                sum(random_unions([of[name][i] for name in order[:n]], elements[i] - gone[i]) for i in (0, 1)) / 7
                for order in ("xyz", "zyx")
            ]
            assert table["floor_union"][stage, n] == pytest.approx(np.mean(expected))


def test_floor_of_ranges_of_layers_is_that_of_ranges_anywhere():
    elements, raw, removed = [1] * 4, {"x": [0, 1, 1, 0], "y": [1, 0, 0, 0], "z": [0, 1, 1, 1]}, [0, 1, 0, 0]
    refined = {name: [size * (1 - gone) for size, gone in zip(of, removed, strict=True)] for name, of in raw.items()}
    sizes = size_rows(raw, elements, "layer", role="safety", **RAW) + size_rows(
        refined, elements, "layer", role="safety", **REFINED
    )
    sizes += size_rows({"union": removed}, elements, "layer", role="utility", **RAW | {"q": P})
    table = nway_table(grown_rows(["xyz"], {"xyz": [3, 4]}), pd.DataFrame(sizes), CONTEXT).set_index(["stage", "n"])
    places = {length: [set(range(i, i + length)) for i in range(5 - length)] for length in (1, 2, 3)}
    for stage, gone in (("raw", set()), ("refined", {1})):
        drawn = [set().union(*ranges) - gone for ranges in product(places[2], places[1], places[3])]
        assert table["floor_union"][stage, 3] == pytest.approx(np.mean([len(union) for union in drawn]) / 4)


def test_growth_with_the_last_set_is_said_for_both_stages_with_that_of_chance():
    context, tables = make_context(4), make_tables(4, 0.6, 0.2, empty=4)
    table = nway_table(tables["nway"], tables["sizes"], context)
    text = words(draw_nway(table, context))
    last = table[(table["n"] == 4) & (table["stage"] == "raw")].iloc[0]
    assert f"Set 4 adds {100 * last['union_change']:.2g}% (chance {100 * last['floor_union_change']:.2g}%)" in text
    assert any("(chance –)" in word for word in text)


def agreement_rows(stage: dict, elements: list[int], floors: list[float], held: float) -> list[dict]:
    numbers = zip(elements, floors, strict=True)
    return [
        {**stage, "n_sets": k, "elements": n, "floor_elements": floor, "held": held}
        for k, (n, floor) in enumerate(numbers, 1)
    ]


def test_agreement_is_relative_to_the_mean_region_at_the_fractions_of_the_run():
    rows = agreement_rows(RAW, [12, 8, 4], [20.0, 4.0, 0.5], 8.0) + agreement_rows(REFINED, [6, 0, 0], [9, 1, 0], 2.0)
    other = [row | {"q": 0.1, "elements": 99} for row in rows] + [row | {"p": 0.1, "stage": "refined"} for row in rows]
    table = agreement_table(pd.DataFrame([*other, *rows]), CONTEXT).set_index(["stage", "k"])
    assert table["share"].tolist() == [1.5, 1, 0.5, 3, 0, 0]
    assert table["floor_share"].tolist() == [2.5, 0.5, 0.0625, 4.5, 0.5, 0]
    empty = agreement_table(pd.DataFrame(rows).assign(held=0.0), CONTEXT)
    assert empty[["share", "floor_share"]].isna().all(axis=None)


def test_agreement_has_a_logarithmic_axis_with_a_place_for_zero_and_a_line_of_chance():
    context, tables = make_context(4), make_tables(4, 0.6, 0.2, empty=2)
    table = agreement_table(tables["agreement"], context)
    (axis,) = draw_agreement(table, context).axes
    assert axis.get_yscale() == "symlog" and axis.get_ylim()[0] < 0
    lines = {str(line.get_label()): line.get_ydata() for line in axis.lines}
    for stage, name in (("raw", "Before refinement"), ("refined", "After refinement")):
        rows = table[table["stage"] == stage]
        assert list(lines[name]) == rows["share"].tolist()
        assert list(lines[f"Chance {name.split()[0].lower()}"]) == rows["floor_share"].tolist()
    assert table["share"].tolist()[-2:] == [0, 0]


def test_the_curve_that_pairs_predict_begins_at_two_sets_and_falls():
    context, tables = make_context(5), make_tables(5, 0.6, 0.2)
    table = nway_table(tables["nway"], tables["sizes"], context)
    for _, of in table.groupby("stage"):
        predicted = of.set_index("n")["pairs_predict"]
        assert np.isnan(predicted[1])
        assert predicted[2] == pytest.approx(of.set_index("n")["iou"][2], abs=1e-6)
        assert (predicted[2:].diff().dropna() < 0).all()
