"""IoU of n safety sets together as n grows, before and after refinement."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from safety_regions.figures.curves import add_legend, draw_curves, scale_iou, summarise
from safety_regions.figures.style import (
    ONE_COLUMN,
    STAGES,
    Context,
    add_footer,
    at_fractions,
    new_figure,
    paper_style,
)


def nway_table(nway: pd.DataFrame, context: Context) -> pd.DataFrame:
    """One row per stage and n at the context's q and p: mean IoU over orders, 10% and 90% quantiles, mean floor."""
    return summarise(pd.concat([at_fractions(nway, stage, context.q, context.p) for stage in STAGES]), "n")


@paper_style
def draw_nway(table: pd.DataFrame, context: Context) -> Figure:
    """Draw `nway_table`: lines, bands over orders and dashed floors."""
    figure = new_figure(ONE_COLUMN, 2.7)
    axis = figure.subplots()
    draw_curves(axis, table, "n")
    scale_iou(axis, table)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlim(1.8, table["n"].max() + 0.2)
    axis.grid(axis="y")
    axis.set_xlabel("Number n of safety sets")
    axis.set_ylabel("IoU of n sets")
    add_legend(figure, axis)
    add_footer(figure, f"{context.footer()}; mean and 10–90% band over orders of the sets")
    return figure
