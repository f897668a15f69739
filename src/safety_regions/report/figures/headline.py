"""All models and methods at a glance: mean IoU before and after refinement, beside chance."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safety_regions.overlap.counts import STAGES
from safety_regions.report.figures.style import (
    CHANCE,
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
from safety_regions.report.numbers import UNDEFINED, percent, shorten

PANELS = {"": "pairs of safety sets (mean)", "nway_": "all {n} safety sets together"}
BESIDE = {"raw": -0.17, "refined": 0.17}
"""Where in its line each stage stands: equal values would hide one another."""


def headline_columns() -> list[str]:
    """The columns drawn: for pairs, and (`nway_`) for all sets together, IoU and chance floor before and after."""
    return [
        "model",
        "method",
        *(f"{panel}{what}_{stage}" for panel in PANELS for stage in STAGES for what in ("iou", "floor")),
    ]


def write_headline(table: pd.DataFrame, config: dict[str, Any], output: Path, names: Names = IDS) -> None:
    """Write headline.pdf, .png and .csv; `table` has one row per model and method with `headline_columns`.

    `config` is the run's configuration, of which the footer tells sample count, fractions and scope.
    """
    drawn = table[headline_columns()]
    save(draw_headline(names.table(drawn), names.config(config)), drawn, output, "headline")


@paper_style
def draw_headline(table: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """A dot plot, one line per model and method: before refinement and a little below it after, chance floors as ticks
    of the same colour.
    """
    figure = new_figure(TWO_COLUMNS, 0.95 + 0.19 * len(table) + 0.1 * table["model"].nunique())
    axes = figure.subplots(1, len(PANELS), sharey=True)
    rows = _rows(table)
    for axis, (panel, title) in zip(axes, PANELS.items(), strict=True):
        _draw_panel(axis, table, rows, panel)
        axis.set_title(f"IoU of {title.format(n=len(config['datasets']['safety']))}")
    names = [f"{shorten(row['model'], 26)}  {row['method']}" for row in table.to_dict("records")]
    axes[0].set_yticks(rows, names)
    axes[0].set_ylim(max(rows) + 0.7, min(rows) - 0.7)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles[::2] + handles[1::2], labels[::2] + labels[1::2], loc="outside upper left", ncols=4, borderaxespad=0.3
    )
    add_footer(figure, f"{run_footer(config)}; {UNDEFINED} stands for no element left")
    return figure


def _rows(table: pd.DataFrame) -> list[float]:
    """The height of each line; a gap stands between models."""
    new_model = (table["model"] != table["model"].shift()).cumsum()
    return [index + 0.5 * int(group) for index, group in enumerate(new_model)]


def _draw_panel(axis: Axes, table: pd.DataFrame, rows: list[float], panel: str) -> None:
    heights = {stage: [row + beside for row in rows] for stage, beside in BESIDE.items()}
    before, after = (table[f"{panel}iou_{stage}"] for stage in STAGES)
    axis.plot([before, after], [heights[stage] for stage in STAGES], color="0.7", linewidth=1, zorder=1)
    for stage in STAGES:
        style: dict[str, Any] = {"color": COLOURS[stage], "linestyle": "none", "clip_on": False}
        axis.plot(
            table[f"{panel}iou_{stage}"], heights[stage], label=TITLES[stage], zorder=3, **MARKERS[stage], **style
        )
        style |= {"marker": "|", "markersize": 4.6, "markeredgewidth": 1.2}
        axis.plot(table[f"{panel}floor_{stage}"], heights[stage], label=CHANCE[stage], zorder=2, **style)
    for height, value in zip(heights["refined"], after, strict=True):
        if pd.isna(value):
            axis.text(1.0, height, UNDEFINED, va="center", ha="right", fontsize=6.5, color=COLOURS["refined"])
    axis.set_xlim(0, 1)
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def run_footer(config: dict[str, Any]) -> str:
    """What a run compares, in one line: sets, prompts, fractions, scope and the sets that refinement takes out."""
    datasets, thresholds = config["datasets"], config["thresholds"]
    return (
        f"{config['name']}: {len(datasets['safety'])} safety sets, {datasets['n_samples']} prompts per set, "
        f"q = {percent(thresholds['q'])}, p = {percent(thresholds['p'])}, top fraction per {thresholds['scope']}, "
        f"refined with the union of {', '.join(datasets['utility'])}"
    )
