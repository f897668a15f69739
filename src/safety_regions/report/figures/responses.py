"""What regions follow, prompts or responses: IoU with the one or the other kept, beside chance and two halves of one
set.
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
from safety_regions.report.numbers import shorten

KEYS = ["model", "method", "stage"]
OFFSETS = {"raw": -0.17, "refined": 0.17}
HALVES = {"two halves of one set, own responses": "ceiling", "halves of other sets, own responses": "between"}
"""Lines from halves of the prompts, and their columns."""


def write_responses(
    responses: pd.DataFrame, estimates: pd.DataFrame, config: dict[str, Any], output: Path, names: Names = IDS
) -> None:
    """Write responses.pdf, .png and .csv: the rows of `responses` (model, method, stage, comparison, iou, floor,
    n_pairs), with ceiling and between of estimates.csv beside each."""
    drawn = responses_table(responses, estimates)
    save(draw_responses(names.table(drawn), names.config(config)), drawn, output, "responses")


def responses_table(responses: pd.DataFrame, estimates: pd.DataFrame) -> pd.DataFrame:
    """`responses` and, as `ceiling` and `between`, the IoU of two halves of one set and of halves of different sets, of
    the same model, method and stage; NaN if not known.
    """
    return responses.merge(estimates[[*KEYS, *HALVES.values()]], on=KEYS, how="left")


@paper_style
def draw_responses(table: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """One panel per method, one line per comparison, the largest IoU before refinement on top, and what halves of the
    prompts give as the last lines.

    A dot per model and stage, its chance floor as a tick of the same colour.
    """
    methods, lines = list(dict.fromkeys(table["method"])), [*_ordered(table), *HALVES]
    figure = new_figure(TWO_COLUMNS, 1.15 + 0.27 * len(lines))
    axes = figure.subplots(1, max(len(methods), 1), sharex=True, sharey=True, squeeze=False)[0]
    once = table.drop_duplicates(KEYS).assign(floor=np.nan)
    halves = [once.assign(comparison=line, iou=once[column]) for line, column in HALVES.items()]
    drawn = pd.concat([table, *halves]) if len(table) else table
    for axis, method in zip(axes, methods, strict=False):
        _draw_panel(axis, drawn[drawn["method"] == method], lines)
        axis.set_title(method)
    axes[0].set_yticks(range(len(lines)), [_wrap(name) for name in lines])
    axes[0].set_ylim(len(lines) - 0.4, -0.6)
    axes[0].set_xlim(0, 1)
    axes[0].set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    for axis in axes:
        axis.set_xlabel("IoU")
    _add_legend(figure, axes[0])
    add_footer(
        figure,
        f"{run_footer(config)}; {_models(table)}means over pairs of regions; halves: from half the prompts",
    )
    return figure


def _ordered(table: pd.DataFrame) -> list[str]:
    raw = table["iou"].where(table["stage"] == "raw").groupby(table["comparison"], sort=False).mean()
    return [str(name) for name in raw.sort_values(ascending=False, kind="stable").index]


def _models(table: pd.DataFrame) -> str:
    names = list(dict.fromkeys(table["model"]))
    return (
        f"a dot per model ({len(names)}); " if len(names) > 1 else "".join(f"{shorten(name, 40)}; " for name in names)
    )


def _draw_panel(axis: Axes, rows: pd.DataFrame, lines: list[str]) -> None:
    crowded = rows["model"].nunique() > 1
    for stage in STAGES:
        drawn = rows[rows["stage"] == stage]
        heights = np.array([lines.index(name) for name in drawn["comparison"]], float) + OFFSETS[stage]
        style: dict[str, Any] = {"color": COLOURS[stage], "linestyle": "none", "clip_on": False}
        marker = MARKERS[stage] | ({"markersize": 2.6, "markeredgewidth": 0.7} if crowded else {})
        axis.plot(drawn["iou"], heights, zorder=3, **marker, **style)
        axis.plot(drawn["floor"], heights, marker="|", markersize=6, markeredgewidth=1.1, zorder=2, **style)
    axis.axhline(len(lines) - len(HALVES) - 0.5, color="0.4", linewidth=0.7)
    for line in range(len(lines)):
        axis.axhline(line, color="0.9", linewidth=0.4, zorder=0)
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def _add_legend(figure: Figure, axis: Axes) -> None:
    for stage in STAGES:
        style: dict[str, Any] = {"color": COLOURS[stage], "linestyle": "none"}
        axis.plot([], [], label=TITLES[stage], **MARKERS[stage], **style)
        axis.plot([], [], label=CHANCE[stage], marker="|", markersize=6, markeredgewidth=1.1, **style)
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside upper left", ncols=4, columnspacing=1.2, borderaxespad=0.3
    )


def _wrap(name: str) -> str:
    """A comparison over two lines, broken at its comma."""
    first, _, rest = name.partition(", ")
    return f"{first[:1].upper()}{first[1:]},\n{rest}" if rest else name
