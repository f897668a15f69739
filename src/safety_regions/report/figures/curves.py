"""Mean and band before and after refinement, with the chance floors: what the two line figures share."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import SymmetricalLogLocator

from safety_regions.overlap.counts import STAGES
from safety_regions.report.figures.style import (
    CHANCE,
    COLOURS,
    FLOOR_DASHES,
    MARKERS,
    TITLES,
    band,
    mean_defined,
)

ONE_ELEMENT = 1e-9
"""About the smallest IoU above zero that a model of some ten thousand million weights can have."""
COLUMNS = ["stage", "x", "iou", "low", "high", "floor_iou", "n_defined", "n_undefined"]


def summarise(rows: pd.DataFrame, x: str) -> pd.DataFrame:
    """For each stage and value of column `x`: mean IoU, its 10% and 90% quantiles, mean floor, and the count of rows.

    Undefined IoU (both regions empty) are counted and left out.
    """
    out = []
    for (stage, value), group in rows.groupby(["stage", x], sort=True):
        low, high = band(group["iou"])
        undefined = int(group["iou"].isna().sum())
        means = (mean_defined(group["iou"]), low, high, mean_defined(group["floor_iou"]))
        out.append((stage, value, *means, len(group) - undefined, undefined))
    return pd.DataFrame(out, columns=[x if column == "x" else column for column in COLUMNS])


def draw_curves(axis: Axes, table: pd.DataFrame, x: str) -> None:
    """Draw a `summarise` table; points without a defined IoU are left out."""
    for stage in STAGES:
        rows = table[(table["stage"] == stage) & table["iou"].notna()]
        colour, name = COLOURS[stage], TITLES[stage]
        axis.fill_between(rows[x], rows["low"], rows["high"], color=colour, alpha=0.18, linewidth=0)
        axis.plot(rows[x], rows["iou"], color=colour, label=name, zorder=3, clip_on=False, **MARKERS[stage])
        dashes = FLOOR_DASHES[stage]
        axis.plot(rows[x], rows["floor_iou"], color=colour, linestyle=dashes, linewidth=1, label=CHANCE[stage])


def add_legend(figure: Figure, axis: Axes) -> None:
    """The legend above the axes, out of the data's way."""
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside upper left", ncols=2, columnspacing=1.2, borderaxespad=0.3
    )


def scale_iou(axis: Axes, table: pd.DataFrame) -> None:
    """Linear from 0, or logarithmic where the drawn means and bands span more than two decades.

    The logarithmic axis turns linear below the smallest positive value drawn, so that zero has its place on it.
    """
    drawn = table[["iou", "low", "high"]].to_numpy(float)
    positive = drawn[drawn > 0]
    if len(positive) and positive.max() / positive.min() > 100:
        smallest = 10.0 ** np.floor(np.log10(max(positive.min(), ONE_ELEMENT)))
        axis.set_yscale("symlog", linthresh=smallest, linscale=1)
        locator = SymmetricalLogLocator(base=10, linthresh=smallest)
        locator.set_params(numticks=7)
        axis.yaxis.set_major_locator(locator)
        axis.set_ylim(0, min(1.0, 2 * positive.max()))
    else:
        floors = table["floor_iou"].to_numpy(float)
        top = np.nanmax(np.append(np.append(drawn.ravel(), floors), 1e-3))
        axis.set_ylim(0, min(1.0, 1.08 * top))
