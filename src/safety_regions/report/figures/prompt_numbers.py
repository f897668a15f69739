"""The IoU of different sets over the number of prompts that regions are identified from."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safety_regions.overlap.counts import STAGES
from safety_regions.report.figures.headline import run_footer
from safety_regions.report.figures.style import (
    COLOURS,
    MARKERS,
    TITLES,
    TWO_COLUMNS,
    add_footer,
    new_figure,
    paper_style,
    save,
)
from safety_regions.report.names import IDS, Names
from safety_regions.report.numbers import shorten


def write_prompt_numbers(rows: pd.DataFrame, config: dict[str, Any], output: Path, names: Names = IDS) -> None:
    """Write prompt_numbers.pdf, .png and .csv: the rows of `safety_regions.claims.prompt_numbers`."""
    save(draw_prompt_numbers(names.table(rows), names.config(config)), rows, output, "prompt_numbers")


@paper_style
def draw_prompt_numbers(table: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """A row of panels for each model, a column for each method: mean IoU over pairs of sets with its 95% interval, and
    dashed what unlimited prompts would give.
    """
    models, methods = (list(dict.fromkeys(table[column])) for column in ("model", "method"))
    figure = new_figure(TWO_COLUMNS, 1.1 + 1.35 * len(models))
    axes = figure.subplots(len(models), len(methods), sharex=True, sharey=True, squeeze=False)
    for row, model in zip(axes, models, strict=True):
        row[0].set_ylabel(shorten(model, 26))
        for axis, method in zip(row, methods, strict=True):
            _draw_panel(axis, table[table["model"].eq(model) & table["method"].eq(method)])
    for axis, method in zip(axes[0], methods, strict=True):
        axis.set_title(method)
    for axis in axes[-1]:
        axis.set_xlabel("Prompts")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=4, borderaxespad=0.3)
    figure.supylabel("IoU between sets", fontsize=8)
    add_footer(
        figure,
        f"{run_footer(config)}; regions from the first so many prompts of each set, from halves, and from all; "
        "whiskers: 95% intervals; unlimited: from halves",
    )
    return figure


def _draw_panel(axis: Axes, rows: pd.DataFrame) -> None:
    for stage in STAGES:
        of, colour = rows[rows["stage"] == stage], COLOURS[stage]
        axis.plot(
            of["n_prompts"], of["iou"], color=colour, label=TITLES[stage], clip_on=False, zorder=3, **MARKERS[stage]
        )
        axis.vlines(of["n_prompts"], of["iou_low"], of["iou_high"], color=colour, linewidth=0.9)
        for height in of["unlimited"][:1].dropna():
            axis.axhline(height, color=colour, linestyle=(0, (4, 2)), linewidth=0.9, label="Unlimited prompts")
    axis.set_xlim(left=0)
    axis.set_ylim(0, 1)
    axis.grid(axis="y")
