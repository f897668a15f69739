"""IoU of every pair of safety sets as a heat map, before and after refinement."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from safety_regions.claims.jackknife import square
from safety_regions.overlap.counts import STAGES
from safety_regions.planning.recipes.report import FigureContext
from safety_regions.report.figures.set_order import alike_together
from safety_regions.report.figures.style import (
    SHARES,
    TITLES,
    add_footer,
    at_fractions,
    footer,
    mean_defined,
    new_figure,
    paper_style,
    text_colours,
)
from safety_regions.report.numbers import cell, number, shorten


def iou_matrix_table(pairs: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """One row per stage and pair (a, b) of safety sets at the context's q and p: iou and floor_iou in [0, 1] or NaN."""
    tables = [at_fractions(pairs, stage, context.q, context.p) for stage in STAGES]
    return pd.concat(tables)[["stage", "a", "b", "iou", "floor_iou"]].reset_index(drop=True)


@paper_style
def draw_iou_matrix(table: pd.DataFrame, context: FigureContext) -> Figure:
    """Two heat maps of `iou_matrix_table`: below the diagonal IoU, above it the chance floor.

    The sets stand in one order on both, in which those whose raw regions are alike are neighbours.
    """
    n = len(context.safety)
    raw = square(table[table["stage"] == "raw"], "iou", context.safety)
    names_in_order = [context.safety[index] for index in alike_together(raw)]
    # Wide enough for the titles, and for a number in every cell.
    side = max(float(np.clip(0.5 * n, 1.85, 2.5)), 0.21 * n)
    names = 0.055 * max(len(shorten(name)) for name in context.safety)
    figure = new_figure(2 * side + names + 0.9, side + names + 0.68, layout="compressed")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, stage in zip(axes, STAGES, strict=True):
        image = _draw_stage(axis, table[table["stage"] == stage], names_in_order)
        axis.set_title(_title(stage, table[table["stage"] == stage]))
    axes[1].tick_params(labelleft=False)
    bar = figure.colorbar(image, ax=axes, shrink=0.9, aspect=25, pad=0.02)
    bar.set_label("IoU (lower left),\nchance floor (upper right)")
    bar.outline.set_visible(False)
    add_footer(figure, footer(context))
    return figure


def _title(stage: str, rows: pd.DataFrame) -> str:
    means = f"mean IoU {number(mean_defined(rows['iou']))}, chance {number(mean_defined(rows['floor_iou']))}"
    return f"{TITLES[stage]}\n{means}"


def _draw_stage(axis: Axes, rows: pd.DataFrame, names: list[str]) -> AxesImage:
    place = {name: index for index, name in enumerate(names)}
    values = np.full((len(names), len(names)), np.nan)
    for row in rows.itertuples():
        first, second = sorted((place[str(row.a)], place[str(row.b)]))
        values[second, first], values[first, second] = row.iou, row.floor_iou
    image = axis.imshow(values, cmap=SHARES, vmin=0, vmax=1)
    axis.set_facecolor("0.93")
    colours = text_colours(image, values)
    size = float(np.clip(70 / len(names), 4.6, 7))
    for (row, column), value in np.ndenumerate(values):
        if row != column:
            style = "normal" if row > column else "italic"
            text = cell(value)
            font: dict[str, Any] = {"fontsize": size if len(text) < 4 else 0.85 * size, "fontstyle": style}
            axis.text(column, row, text, ha="center", va="center", color=colours[row, column], in_layout=False, **font)
    axis.set_xticks(range(len(names)), [shorten(name) for name in names], rotation=90)
    axis.set_yticks(range(len(names)), [shorten(name) for name in names])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return image
