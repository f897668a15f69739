"""Regions before and after alignment in a report: read from its parts, drawn, and said; no trace of them without."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from figure_tables import CONFIG, words
from pages import make_config, make_page, make_tables

from safety_regions.artifacts import receipts
from safety_regions.claims.alignment import COLUMNS, WITH_INTERVAL
from safety_regions.claims.halves import COLUMNS as HALVES_COLUMNS
from safety_regions.report.answers import answers
from safety_regions.report.figures.alignment import LINES, draw_alignment
from safety_regions.report.inputs import Gathered
from safety_regions.report.names import Names
from safety_regions.report.summary import summary
from safety_regions.steps.report import _alignment

QUESTION = "Are the regions there before the model is aligned?"


def make_rows(methods=("snip", "wanda")) -> pd.DataFrame:
    ends = {f"{name}{end}": 0.4 + d for name in WITH_INTERVAL for end, d in (("", 0), ("_low", -0.1), ("_high", 0.1))}
    known = {"ceiling_before": 0.5, "ceiling_after": 0.6, "floor": 0.03, "half_prompts": 24.0, "fixed": 0.7}
    known |= {"harmless": 0.8, "refused_before": 0.02, "refused_after": 0.9, "n_sets": 3}
    about = [(method, stage, q) for method in methods for stage in ("raw", "refined") for q in (0.01, 0.05)]
    rows = [{"model": "new", "base": "old", "method": m, "stage": s, "q": q} | ends | known for m, s, q in about]
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def with_alignment():
    rows = make_rows(("snip",))
    return replace(make_tables(), alignment=rows[rows["q"] == 0.05])


def test_the_report_reads_each_comparison_with_the_halves_and_refusals_of_both_models(tmp_path):
    config = {"models": ["new", "old"], "datasets": {"safety": ["x", "y"]}, "thresholds": {"q": 0.05}}
    own = {"harmless": False, "variant_before": "own", "variant_after": "own", "stage": "raw", "p": np.nan}
    pairs = [{"set": name, "q": q, "iou": 0.4, "floor_iou": 0.1} | own for name in "xy" for q in (0.01, 0.05)]
    paths = {f"overlap/{model}.snip": tmp_path / model for model in ("old", "new")}
    for path, share in zip(paths.values(), (0.1, 0.7), strict=True):
        path.mkdir()
        (path / "pairs.parquet").touch()
        sets = {name: {"share_refused": share + d} for name, d in (("x", 0.0), ("y", 0.2), ("u", 0.9))}
        receipts.write(path, {"kind": "overlap"}, {"sets": sets})
    paths["alignment/new.snip/old"] = tmp_path / "alignment"
    paths["alignment/new.snip/old"].mkdir()
    pd.DataFrame(pairs).to_parquet(tmp_path / "alignment/alignment.parquet")
    half = {"method": "snip", "stage": "raw", "half_prompts": 8.0, "floor": 0.1, "p": np.nan}
    ious = {"old": 0.5, "new": 0.6, "other": 0.9}
    halves = [
        {"model": model, "a": name, "b": name, "q": q, "iou": iou} | half
        for model, iou in ious.items()
        for name in "xy"
        for q in (0.01, 0.05)
    ]
    gathered = Gathered.of(config, paths, dict.fromkeys(paths, "0" * 64))
    found = _alignment(gathered, pd.DataFrame(halves).reindex(columns=HALVES_COLUMNS))
    assert found["q"].tolist() == [0.01, 0.05] and set(found["method"]) == {"snip"}
    row = found.iloc[1]
    assert (row["model"], row["base"], row["iou"]) == ("new", "old", 0.4)
    assert (row["ceiling_before"], row["ceiling_after"], row["half_prompts"]) == pytest.approx((0.5, 0.6, 8))
    assert (row["refused_before"], row["refused_after"]) == pytest.approx((0.2, 0.8))
    del paths["alignment/new.snip/old"]
    without = Gathered.of(config, paths, dict.fromkeys(paths, "0" * 64))
    assert _alignment(without, pd.DataFrame(halves)).empty


def test_the_figure_has_a_panel_for_each_stage_and_method():
    rows = make_rows()
    undefined = rows["method"].eq("wanda") & rows["stage"].eq("refined")
    rows.loc[undefined, list(LINES)] = np.nan
    figure = draw_alignment(rows, CONFIG)
    panels = [axis for axis in figure.axes if axis.get_lines()]
    assert len(panels) == 4 and [axis.get_title("left") for axis in panels[:2]] == ["snip", "wanda"]
    drawn = {line.get_label(): line for line in panels[0].get_lines()}
    for column, look in LINES.items():
        x, y = drawn[look["label"]].get_data()
        assert x.tolist() == [0.01, 0.05] and y.tolist() == rows[column].iloc[:2].tolist()
    said = words(figure)
    assert any("new before alignment: old" in text for text in said) and "–" in said


def test_the_page_and_the_answer_say_it(tmp_path):
    tables = with_alignment().titled(Names({"new": "New", "old": "Old"}))
    page = make_page(tmp_path, tables=tables).text
    assert '<section id="alignment"' in page and '<a href="#alignment">' in page and QUESTION in page
    (answer,) = [of for of in answers(make_config(), tables, []) if of.question == QUESTION]
    halves, same, refused = answer.sentences
    assert halves == (
        "The region of one half of a set's prompts in Old and that of the other half in New have an IoU of 0.400 "
        "[0.300, 0.500]; two halves in one model have 0.550."
    )
    assert same == "From the same prompts it is 0.400 [0.300, 0.500]."
    assert refused == "Old refuses 0.020 of the safety sets' prompts, New 0.900."
    alone = replace(tables, alignment=tables.alignment.assign(crossed=np.nan))
    (answer,) = [of for of in answers(make_config(), alone, []) if of.question == QUESTION]
    assert answer.sentences == [same, refused]


def test_without_a_pair_of_models_nothing_is_said_of_alignment(tmp_path):
    assert "lignment" not in make_page(tmp_path, tables=make_tables()).text.replace("misalignment", "")
    config = make_config() | {"name": "own", "responses": {"policy": "model"}}
    config["datasets"] = {"safety": [], "utility": [], "n_samples": 8, "seed": 0} | config["datasets"]
    texts = [summary(config, tables, {}, [], {}) for tables in (make_tables(), with_alignment())]
    assert "lignment" not in texts[0]
    assert "## Before and after alignment" in texts[1] and texts[1].endswith("at every q.\n")
    assert "| new | snip | raw | 0.02, 0.90 | 0.400 (0.300 to 0.500) | 0.030 | 24 |" in texts[1]
