"""Figures show exactly their tables, state what they are about, and have the same bytes on every run."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_tables import CONFIG, GRID, KINDS, NAMES, context_of, make_context, make_headline, make_tables, words
from fontTools.ttLib import TTFont
from pypdf import PdfReader

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.files import sha256_of_file
from safety_regions.planning.recipes.report import FigureContext, FiguresRecipe
from safety_regions.report.figures.headline import draw_headline, write_headline
from safety_regions.report.figures.iou_matrix import iou_matrix_table
from safety_regions.report.figures.iou_threshold import iou_threshold_table
from safety_regions.report.figures.location import location_table
from safety_regions.report.figures.nway import nway_table
from safety_regions.report.figures.style import text_colours
from safety_regions.report.numbers import cell, number, shorten
from safety_regions.steps.draw_figures import FIGURES, draw_figures
from safety_regions.steps.entry import Entry


def write_overlap(folder: Path, tables: dict[str, pd.DataFrame], context: FigureContext) -> FiguresRecipe:
    """The overlap folder with its receipt; returns the recipe of its figures."""
    folder.mkdir(parents=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
    digest = receipts.write(folder, {"kind": "overlap"}, {}).digest
    return FiguresRecipe(style="", context=context, overlap=digest)


CASES = [(2, 0.5, 0.0, 0), (3, 0.99, 1.0, 3), (12, 0.05, 0.0004, 2)]


@pytest.mark.parametrize(("sets", "iou", "refined", "empty"), CASES)
def test_every_figure_says_what_it_is_about_and_never_nan(sets, iou, refined, empty):
    context = make_context(sets)
    tables = make_tables(sets, iou, refined, empty=empty)
    for sources, make_table, draw in FIGURES.values():
        figure = draw(make_table(*(tables[source] for source in sources), context), context)
        figure.draw_without_rendering()
        text = " ".join(" ".join(words(figure)).split())
        assert "nan" not in text.lower()
        for part in ("smollm2-135m-aligned", "snip", "32 prompts per set", "per matrix", "5%"):
            assert part in text


def test_the_matrix_prints_iou_below_and_the_floor_above_the_diagonal():
    context, tables = make_context(3), make_tables(3, 0.6, 0.2, empty=2)
    table = iou_matrix_table(tables["pairs"], context)
    figure = FIGURES["iou_matrix"][2](table, context)
    raw, refined = (axis for axis in figure.axes if axis.images and axis.texts)
    of = table[table["stage"] == "raw"].set_index(["a", "b"])
    shown = {text.get_position(): text.get_text() for text in raw.texts}
    names = [label.get_text() for label in raw.get_yticklabels()]
    at, other = sorted((names.index("advbench"), names.index("jbb")))
    assert shown[at, other] == cell(of["iou"]["advbench", "jbb"])
    assert shown[other, at] == cell(of["floor_iou"]["advbench", "jbb"])
    assert len(shown) == 6
    empty = sorted((names.index("harmbench"), names.index("jbb")))
    assert {text.get_position(): text.get_text() for text in refined.texts}[empty[0], empty[1]] == "–"
    assert (raw.images[0].norm.vmin, raw.images[0].norm.vmax) == (0, 1)
    assert (refined.images[0].norm.vmin, refined.images[0].norm.vmax) == (0, 1)


def test_threshold_table_is_the_mean_over_pairs_at_p_equal_q():
    context, tables = make_context(5), make_tables(5, 0.6, 0.2)
    table = iou_threshold_table(tables["pairs"], context).set_index(["stage", "q"])
    pairs = tables["pairs"]
    rows = pairs[(pairs["utility"] == "union") & (pairs["q"] == 0.02) & (pairs["p"] == 0.02)]
    assert table.loc[("refined", 0.02), "iou"] == pytest.approx(rows["iou"].mean())
    assert table.loc[("refined", 0.02), "n_defined"] == 10
    assert table.loc[("raw", 0.05), "floor_iou"] == pytest.approx(0.05 / 1.95)
    assert len(table) == 2 * len(GRID)


def test_undefined_pairs_are_counted_and_left_out_of_the_mean():
    context, tables = make_context(4), make_tables(4, 0.6, 0.2, empty=3)
    table = iou_threshold_table(tables["pairs"], context)
    refined = table[table["stage"] == "refined"]
    assert (refined["n_undefined"] == 3).all() and (refined["n_defined"] == 3).all() and (refined["iou"] == 0).all()


def test_nway_axis_is_logarithmic_only_beyond_two_decades_and_has_a_place_for_zero():
    for refined, empty, scale in [(0.5, 0, "linear"), (0.05, 0, "symlog"), (0.05, 1, "linear")]:
        context, tables = make_context(8), make_tables(8, 0.9, refined, empty=empty)
        table = nway_table(tables["nway"], tables["sizes"], context)
        axis = FIGURES["nway"][2](table, context).axes[0]
        assert axis.get_yscale() == scale
        assert axis.get_ylim()[0] == 0


def test_location_is_relative_to_q_and_has_no_panel_of_what_is_constant():
    tables = make_tables(3, 0.6, 0.2, layers=5)
    table = location_table(tables["sizes"], make_context(3)).set_index(["stage", "layer", "module"])["relative_density"]
    assert table["raw"].to_numpy() == pytest.approx(1)
    assert table["refined", 4, "down"] == pytest.approx(0.75)
    assert list(dict.fromkeys(module for _, _, module in table.index)) == KINDS
    for scope, said in [("matrix", True), ("model", False)]:
        context = make_context(3, scope)
        figure = FIGURES["location"][2](location_table(tables["sizes"], context), context)
        text = words(figure)
        assert any("before refinement 1 everywhere" in " ".join(word.split()) for word in text) == said
        assert ("Before refinement" in text) != said and "After refinement" in text


def test_headline_shows_every_model_and_marks_what_is_undefined():
    table = make_headline()
    table.loc[2, ["iou_refined", "floor_refined", "nway_iou_refined", "nway_floor_refined"]] = np.nan
    figure = draw_headline(table, CONFIG)
    text = words(figure)
    for model in table["model"]:
        assert any(shorten(model, 26) in word for word in text)
    assert text.count("–") == 2 and not any("nan" in word.lower() for word in text)
    assert "32 prompts per set" in " ".join(" ".join(text).split())


def test_no_mark_of_the_headline_hides_another_where_refinement_changes_nothing():
    table = make_headline()
    for name in ("iou", "floor", "nway_iou", "nway_floor"):
        table[f"{name}_refined"] = table[f"{name}_raw"]
    for axis in draw_headline(table, CONFIG).axes:
        before, chance_before, after, chance_after = [line for line in axis.lines if line.get_label()[0] != "_"]
        apart = np.abs(np.subtract(before.get_ydata(), after.get_ydata()))
        height = axis.get_window_extent().height / abs(np.subtract(*axis.get_ylim()))
        assert (apart * height * 72 / axis.figure.dpi > after.get_markersize()).all()
        assert list(chance_before.get_ydata()) == list(before.get_ydata())
        assert list(chance_after.get_ydata()) == list(after.get_ydata())


def test_a_fraction_that_the_tables_lack_is_a_users_mistake():
    context = context_of("m", "snip", 32, 0.33, 0.05, "matrix", NAMES[:2], ["gsm8k"])
    with pytest.raises(UserError, match=r"no raw rows at q = 0\.33"):
        iou_matrix_table(make_tables(2, 0.5, 0.2)["pairs"], context)


def test_numbers_are_short_and_never_claim_more_than_they_are():
    values = {0.0: "0", 1.0: "1", 0.001: "<.01", 0.005: ".01", 0.634: ".63", 0.996: ">.99", float("nan"): "–"}
    assert [cell(value) for value in values] == list(values.values())
    assert [number(value) for value in (0.6341, 0.0, 0.00012, float("nan"))] == ["0.634", "0.000", "1.2e-04", "–"]
    assert len(shorten("x" * 60)) == 22 and shorten("jbb") == "jbb"


def test_text_stands_out_from_its_cell():
    context = make_context(2)
    figure = FIGURES["iou_matrix"][2](iou_matrix_table(make_tables(2, 0.5, 0.2)["pairs"], context), context)
    image = figure.axes[0].images[0]
    assert text_colours(image, np.array([[0.0, 1.0, np.nan]])).tolist() == [["black", "white", "black"]]


def test_figures_of_an_altered_overlap_folder_are_refused(tmp_path):
    recipe = write_overlap(tmp_path / "overlap", make_tables(2, 0.5, 0.2), make_context(2))
    (tmp_path / "overlap" / "nway.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"altered or damaged"):
        draw_figures(Entry(tmp_path / "out", recipe, {"overlap": tmp_path / "overlap"}))


def test_two_processes_write_the_same_bytes(tmp_path):
    recipe = write_overlap(tmp_path / "overlap", make_tables(3, 0.6, 0.2), make_context(3))
    script = Path(__file__).parents[2] / "scripts" / "draw_figures.py"
    digests = []
    for seed in ("1", "2"):
        output = tmp_path / seed
        (tmp_path / f"style{seed}").mkdir()
        # A style of the user's own must not reach the figures.
        (tmp_path / f"style{seed}" / "matplotlibrc").write_text(f"font.size: 1{seed}\n")
        entry = {"path": str(output), "recipe": recipe.as_json(), "inputs": {"overlap": str(tmp_path / "overlap")}}
        command = [
            sys.executable,
            script,
            "--job",
            json.dumps({"entries": [entry]}),
            "--manifest",
            tmp_path / "manifest",
        ]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "MPLCONFIGDIR": str(tmp_path / f"style{seed}")}
        subprocess.run(command, check=True, env=environment)
        receipts.check(output, recipe.digest)
        files = {f.name: sha256_of_file(f) for f in output.iterdir()}
        digests.append(files | {"receipt": receipts.receipt_path(output).read_bytes()})
    assert digests[0] == digests[1]
    assert set(digests[0]) == {f"{name}.{end}" for name in FIGURES for end in ("pdf", "png", "csv")} | {"receipt"}


def test_the_headline_is_written_with_the_numbers_drawn(tmp_path):
    table = make_headline()
    write_headline(table.assign(q=0.05), CONFIG, tmp_path)
    read = pd.read_csv(tmp_path / "headline.csv")
    pd.testing.assert_frame_equal(read, table, rtol=1e-8)
    assert (tmp_path / "headline.pdf").read_bytes().startswith(b"%PDF")
    assert b"CreationDate" not in (tmp_path / "headline.pdf").read_bytes()


def test_fonts_are_embedded_without_what_shapes_text(tmp_path):
    """And the words can still be read from the file."""
    write_headline(make_headline().assign(q=0.05), CONFIG, tmp_path)
    (page,) = PdfReader(tmp_path / "headline.pdf").pages
    assert "Before refinement After refinement" in " ".join(page.extract_text().split())
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].get_object().values()]
    files = [
        part.get_object()["/FontDescriptor"]["/FontFile2"].get_data()
        for font in fonts
        for part in font.get("/DescendantFonts", [font])
    ]
    assert files
    for data in files:
        tables = set(TTFont(io.BytesIO(data)).keys())
        assert {"glyf", "hmtx", "cvt "} <= tables and not tables & {"GDEF", "GPOS", "GSUB", "kern"}
