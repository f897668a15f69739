"""What an IoU is worth, for all models and methods: between chance and what two samples of one set give, and its place
there.
"""

from pathlib import Path
from typing import Any

import numpy as np
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
from safety_regions.report.numbers import UNDEFINED, shorten

KEYS = ["model", "method", "stage"]
SPAN = ["floor", "ceiling", "ceiling_low", "ceiling_high"]
PLACED = ["place", "place_low", "place_high"]
UNLIMITED = ["unlimited", "unlimited_low", "unlimited_high"]
WITHIN = ["iou", "iou_low", "iou_high", "between", "between_low", "between_high"]
"""Between sets: of all their prompts, and of halves, which are as many as those of the ceiling."""
COLUMNS = [*KEYS, *WITHIN, *SPAN, *PLACED, *UNLIMITED, "half_prompts", "n_sets"]
OFFSETS = {"raw": -0.2, "refined": 0.2}
WIDEST_PLACE = (-0.5, 1.5)
"""Places beyond are given as numbers at the edge: the span from chance to ceiling may be next to nothing."""

GROUND: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}


def write_ceiling(estimates: pd.DataFrame, config: dict[str, Any], output: Path, names: Names = IDS) -> None:
    """Write ceiling.pdf, .png and .csv: the numbers of estimates.csv, one row per model, method and stage, that are
    drawn.
    """
    drawn = estimates[COLUMNS]
    save(draw_ceiling(names.table(drawn), names.config(config)), drawn, output, "ceiling")


@paper_style
def draw_ceiling(table: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """One line per model and method that has halves to tell it by: left a bar from chance to ceiling with the IoU
    between sets in it, right its place there.

    Before refinement above, after it below; whiskers are 95% intervals.
    """
    measured = table[table[["between", "ceiling"]].notna().any(axis=1)][["model", "method"]].agg(tuple, axis=1)
    about = table[["model", "method"]].agg(tuple, axis=1)
    gone = list(dict.fromkeys(about[~about.isin(measured)]))
    table = table[about.isin(measured)]
    lines = _line_heights(table)
    figure = new_figure(TWO_COLUMNS, 1.05 + 0.28 * max(len(lines), 2) + 0.1 * table["model"].nunique())
    iou, place = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for stage in STAGES:
        rows = table[table["stage"] == stage]
        heights = np.array([lines[key] for key in zip(rows["model"], rows["method"], strict=True)]) + OFFSETS[stage]
        _draw_iou(iou, rows, heights, stage)
        _draw_place(place, rows, heights, stage)
    _finish(iou, "IoU between sets, and of two halves of one set")
    _finish(place, f"Its place ({_prompts(table)})")
    iou.set_xlim(0, 1)
    iou.set_yticks(list(lines.values()), [f"{shorten(model, 26)}  {method}" for model, method in lines])
    iou.set_ylim(max(lines.values(), default=0) + 0.7, min(lines.values(), default=0) - 0.7)
    _scale_place(place, table)
    iou.plot([], [], color="0.75", linewidth=4.5, label="From chance to two halves of one set")
    figure.legend(
        *iou.get_legend_handles_labels(), loc="outside upper left", ncols=5, columnspacing=1.2, borderaxespad=0.3
    )
    add_footer(
        figure,
        f"{run_footer(config)}; all from halves of these prompts; "
        f"the fewer, the nearer the place to 1; whiskers: 95% intervals; {UNDEFINED}: not defined"
        + (f"; left out, since without halves: {', '.join(map(' '.join, gone))}" if gone else ""),
    )
    return figure


def _prompts(table: pd.DataFrame) -> str:
    """How many prompts a half has, in words."""
    numbers = table["half_prompts"].dropna()
    ends = dict.fromkeys(f"{end:g}" for end in (numbers.min(), numbers.max())) if len(numbers) else [UNDEFINED]
    return f"from {' to '.join(ends)} prompts"


def _line_heights(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    """The height of each model's and method's line; a gap stands between models."""
    lines = table[["model", "method"]].drop_duplicates()
    n_gaps = (lines["model"] != lines["model"].shift()).cumsum()
    return {
        (model, method): row + 0.5 * int(gaps)
        for row, (model, method, gaps) in enumerate(zip(lines["model"], lines["method"], n_gaps, strict=True))
    }


def _draw_iou(axis: Axes, rows: pd.DataFrame, heights: np.ndarray, stage: str) -> None:
    colour = COLOURS[stage]
    axis.hlines(heights, rows["floor"], rows["ceiling"], color=colour, alpha=0.25, linewidth=4.5, zorder=1)
    axis.hlines(heights, rows["ceiling_low"], rows["ceiling_high"], color=colour, linewidth=0.8, zorder=2)
    ends: dict[str, Any] = {"color": colour, "linestyle": "none", "marker": "|", "clip_on": False}
    axis.hlines(heights, rows["between_low"], rows["between_high"], color=colour, linewidth=1.2, zorder=3)
    axis.plot(
        rows["between"],
        heights,
        color=colour,
        linestyle="none",
        label=TITLES[stage],
        zorder=4,
        clip_on=False,
        **MARKERS[stage],
    )
    axis.plot(rows["floor"], heights, markersize=4.5, markeredgewidth=0.8, zorder=2, **ends)
    axis.plot(rows["ceiling"], heights, markersize=7, markeredgewidth=1.6, zorder=2, **ends)
    for height, value in zip(heights, rows["between"], strict=True):
        if pd.isna(value):
            axis.text(1.0, height, UNDEFINED, va="center", ha="right", fontsize=6.5, color=colour)


def _draw_place(axis: Axes, rows: pd.DataFrame, heights: np.ndarray, stage: str) -> None:
    colour = COLOURS[stage]
    axis.hlines(
        heights,
        rows["place_low"].clip(*WIDEST_PLACE),
        rows["place_high"].clip(*WIDEST_PLACE),
        color=colour,
        linewidth=1.2,
        zorder=3,
    )
    inside = rows["place"].between(*WIDEST_PLACE).to_numpy()
    axis.plot(rows["place"][inside], heights[inside], color=colour, linestyle="none", zorder=4, **MARKERS[stage])
    for height, value in zip(heights[~inside], rows["place"][~inside], strict=True):
        low = value < 0
        words = UNDEFINED if pd.isna(value) else f"← {value:.1f}" if low else f"{value:.1f} →"
        axis.text(
            0.0 if low else 1.0,
            height,
            words,
            transform=axis.get_yaxis_transform(),
            ha="left" if low else "right",
            va="center",
            fontsize=6.5,
            color=colour,
            bbox=GROUND,
            zorder=5,
        )


def _scale_place(axis: Axes, table: pd.DataFrame) -> None:
    values = table[["place", "place_low", "place_high"]].to_numpy(float)
    values = np.clip(values[np.isfinite(values)], *WIDEST_PLACE)
    axis.set_xlim(min(-0.05, *values - 0.03), max(1.05, *values + 0.03)) if len(values) else axis.set_xlim(-0.05, 1.05)
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["chance", ".25", ".5", ".75", "same set"])
    for edge in (0, 1):
        axis.axvline(edge, color="0.4", linewidth=0.7, zorder=0)


def _finish(axis: Axes, title: str) -> None:
    axis.set_title(title)
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
