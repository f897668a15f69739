"""Mean IoU of two safety sets against the fraction q that a region holds, before and after refinement."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from safety_regions.claims.rows import along_grid
from safety_regions.planning.recipes.report import FigureContext
from safety_regions.report.figures.curves import add_legend, draw_curves, scale_iou, summarise
from safety_regions.report.figures.style import ONE_COLUMN, add_footer, footer, new_figure, paper_style
from safety_regions.report.numbers import percent


def iou_threshold_table(pairs: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """One row per stage and q: mean IoU over pairs, 10% and 90% quantiles, mean floor; refined with the union at p =
    q.
    """
    return summarise(along_grid(pairs), "q")


@paper_style
def draw_iou_threshold(table: pd.DataFrame, context: FigureContext) -> Figure:
    """Draw `iou_threshold_table`: lines, bands and dashed floors over a logarithmic q axis, the headline q marked."""
    figure = new_figure(ONE_COLUMN, 2.7)
    axis = figure.subplots()
    axis.set_xscale("log")
    axis.axvline(context.q, color="0.8", linewidth=0.8, zorder=0)
    draw_curves(axis, table, "q")
    scale_iou(axis, table)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(axis="y")
    axis.set_xlabel("Fraction q of the elements in a region (refined: p = q)")
    axis.set_ylabel("IoU of two safety sets")
    add_legend(figure, axis)
    add_footer(
        figure,
        f"{footer(context, q=False, p=False)}; mean and 10–90% band over pairs, grey line at q = {percent(context.q)}",
    )
    return figure
