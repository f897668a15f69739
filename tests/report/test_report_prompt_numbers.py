"""The IoU by the number of prompts in a report: table, figure, summary; no trace of it in a run without."""

from dataclasses import replace

import numpy as np
import pandas as pd
from figure_tables import CONFIG
from pages import make_config, make_page, make_tables

from safety_regions.claims.prompt_numbers import COLUMNS
from safety_regions.report.figures.prompt_numbers import draw_prompt_numbers
from safety_regions.report.summary import summary
from safety_regions.report.tables import prompt_numbers_table


def make_rows() -> pd.DataFrame:
    known = {"model": "m", "q": 0.05, "floor": 0.026, "unlimited": 0.6, "n_sets": 4}
    known |= {"unlimited_low": 0.5, "unlimited_high": 0.7}
    found = [(12, "first", 0.4), (24, "halves", 0.5), (48, "all", 0.55)]
    rows = [
        known
        | {"method": method, "stage": stage, "n_prompts": n, "prompts": prompts}
        | {"iou": iou, "iou_low": iou - 0.1, "iou_high": iou + 0.1}
        for method in ("snip", "wanda")
        for stage in ("raw", "refined")
        for n, prompts, iou in found
    ]
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def test_the_table_has_a_line_for_each_number():
    table = prompt_numbers_table(make_rows().head(3))
    assert table.cells()[0] == [
        "m",
        "snip",
        "before",
        "12",
        "first",
        "0.400 [0.300, 0.500]",
        "0.026",
        "0.600 [0.500, 0.700]",
    ]
    assert [row[3:5] for row in table.cells()] == [["12", "first"], ["24", "halves"], ["48", "all"]]


def test_the_figure_has_a_line_for_each_stage_over_the_numbers():
    rows = make_rows()
    rows.loc[rows["method"] == "wanda", ["unlimited", "unlimited_low", "unlimited_high"]] = np.nan
    figure = draw_prompt_numbers(rows, CONFIG)
    snip, wanda = figure.axes
    lines = {line.get_label(): line for line in snip.get_lines()}
    assert lines["Before refinement"].get_xdata().tolist() == [12, 24, 48]
    assert lines["Before refinement"].get_ydata().tolist() == [0.4, 0.5, 0.55]
    assert (len(snip.get_lines()), len(wanda.get_lines())) == (4, 2)


def test_page_and_summary_have_it_where_there_is_something(tmp_path):
    tables = [make_tables(), replace(make_tables(), prompt_numbers=make_rows())]
    config = make_config() | {"name": "own", "responses": {"policy": "model"}}
    config["datasets"] = {"safety": [], "utility": [], "n_samples": 8, "seed": 0} | config["datasets"]
    without, texts = [summary(config, of, {}, [], {}) for of in tables]
    assert "## By the number of prompts" in texts and "by the number of prompts.\n" in texts
    assert "number of prompts." not in without and "prompt_numbers" not in without
    pages = [make_page(tmp_path / str(n), tables=of).text for n, of in enumerate(tables)]
    assert ["by the number of prompts" in page for page in pages] == [False, True]
