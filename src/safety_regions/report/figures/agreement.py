"""What the sets agree on: the elements that at least k of N safety regions hold, beside chance."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, SymmetricalLogLocator

from safety_regions.overlap.counts import STAGES
from safety_regions.planning.recipes.report import FigureContext
from safety_regions.report.figures.style import (
    CHANCE,
    COLOURS,
    FLOOR_DASHES,
    MARKERS,
    ONE_COLUMN,
    TITLES,
    add_footer,
    at_fractions,
    footer,
    new_figure,
    paper_style,
)
from safety_regions.report.numbers import percent


def agreement_table(agreement: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """One row per stage and k = 1..N at the context's q and p.

    `elements`: how many at least k of the N safety regions hold, `floor_elements`: how many of independent random
    regions of their sizes, on average; `held`: elements of a region, mean over the sets. `share` and `floor_share` are
    the two relative to `held`: of regions that are all the same a share is 1 at every k, of regions that have nothing
    in common N at k = 1 and 0 from 2 on. NaN where the regions are empty.
    """
    rows = pd.concat([at_fractions(agreement, stage, context.q, context.p) for stage in STAGES], ignore_index=True)
    held = rows["held"].where(rows["held"] > 0)
    counted = rows[["stage", "n_sets", "elements", "floor_elements", "held"]].rename(columns={"n_sets": "k"})
    return counted.assign(share=rows["elements"] / held, floor_share=rows["floor_elements"] / held)


@paper_style
def draw_agreement(table: pd.DataFrame, context: FigureContext) -> Figure:
    """Draw `agreement_table`: the share of the mean region against k, with a dashed line of chance for each stage."""
    figure = new_figure(ONE_COLUMN, 2.75)
    axis = figure.subplots()
    for stage in STAGES:
        rows = table[(table["stage"] == stage) & table["share"].notna()]
        colour = COLOURS[stage]
        axis.plot(rows["k"], rows["share"], color=colour, label=TITLES[stage], zorder=3, **MARKERS[stage])
        dashes = FLOOR_DASHES[stage]
        axis.plot(rows["k"], rows["floor_share"], color=colour, linestyle=dashes, linewidth=1, label=CHANCE[stage])
    _scale(axis, table)
    n_sets = int(table["k"].max())
    axis.set_xlim(0.8, n_sets + 0.2)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.axhline(1, color="0.6", linewidth=0.7, zorder=0)
    axis.grid(axis="y")
    axis.set_xlabel(f"In at least k of {n_sets} safety sets")
    axis.set_ylabel("Elements, of the mean region")
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside upper left", ncols=2, columnspacing=1.2, borderaxespad=0.3
    )
    add_footer(figure, footer(context))
    return figure


def _scale(axis: Axes, table: pd.DataFrame) -> None:
    """Logarithmic down to the decade of the smallest share above zero, linear below, so that zero has its place."""
    shares = table["share"].to_numpy(float)
    some = shares[shares > 0]
    smallest = 10.0 ** np.floor(np.log10(some.min())) if len(some) else 0.1
    axis.set_yscale("symlog", linthresh=smallest, linscale=0.5)
    locator = SymmetricalLogLocator(base=10, linthresh=smallest)
    locator.set_params(numticks=7)
    axis.yaxis.set_major_locator(locator)
    axis.yaxis.set_major_formatter(lambda value, _: percent(value))
    top = np.nanmax(np.append(table[["share", "floor_share"]].to_numpy(float), 1.0))
    axis.set_ylim(-0.1 * smallest, 1.6 * top)
