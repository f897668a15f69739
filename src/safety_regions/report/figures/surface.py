"""Mean IoU over the whole grid of fractions (q, p), and how much of the overlap beyond chance refinement takes."""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from safety_regions.overlap.counts import UNION
from safety_regions.planning.recipes.report import FigureContext
from safety_regions.report.figures.style import (
    SHARES,
    TWO_COLUMNS,
    add_footer,
    footer,
    new_figure,
    paper_style,
    text_colours,
)
from safety_regions.report.numbers import UNDEFINED, cell, percent

COLUMNS = ["q", "p", "iou", "floor_iou", "taken", "size", "n_defined", "n_undefined"]
TITLES = {"iou": "IoU of two safety sets", "taken": "Overlap beyond chance taken by refinement"}
LEVELS = np.arange(0, 1, 0.1)


def surface_table(pairs: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """One row per (q, p) of the grid, p = 0 for regions before refinement: means over the pairs of sets.

    `iou` and `floor_iou` in [0, 1] over the pairs that have one, which `n_defined` counts; `size`, the mean size of a
    region as a share of its size before refinement; `taken` = 1 - (iou - floor) / (iou before - floor before), the
    share of the overlap beyond chance that refinement with the union of the utility regions takes: 1 if it leaves no
    more than chance, NaN if there was no more than chance before.
    """
    whole = pairs[(pairs["scope"] == "all") & ((pairs["stage"] == "raw") | (pairs["utility"] == UNION))]
    defined = whole["iou"].notna()
    columns = {"p": whole["p"].fillna(0.0), "floor_iou": whole["floor_iou"].where(defined)}
    columns |= {"size": (whole["size_a"] + whole["size_b"]) / 2, "n_defined": defined, "n_undefined": ~defined}
    groups = whole.assign(**columns).groupby(["q", "p"])
    table = pd.concat([groups[["iou", "floor_iou", "size"]].mean(), groups[["n_defined", "n_undefined"]].sum()], axis=1)
    table = table.reset_index()
    before = table[table["p"] == 0].set_index("q").reindex(table["q"]).reset_index(drop=True)
    beyond = before["iou"] - before["floor_iou"]
    taken = 1 - (table["iou"] - table["floor_iou"]) / beyond.where(beyond > 0)
    return table.assign(taken=taken, size=table["size"] / before["size"].where(before["size"] > 0))[COLUMNS]


@paper_style
def draw_surface(table: pd.DataFrame, context: FigureContext) -> Figure:
    """Draw `surface_table`: two heat maps with contours, every fraction of the grid as wide as any other, the run's
    marked.
    """
    side = float(np.clip(0.27 * table["q"].nunique(), 1.6, 2.5))
    figure = new_figure(TWO_COLUMNS, side + 1.15)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, column in zip(axes, TITLES, strict=True):
        image = _draw_panel(axis, table, column, context)
        bar = figure.colorbar(image, ax=axis, aspect=25, pad=0.02)
        bar.outline.set_visible(False)
    axes[0].set_ylabel("Fraction p removed with utility regions")
    add_footer(
        figure,
        f"{footer(context)}; means over pairs of {len(context.safety)} safety sets; frame: the run's q and p; "
        f"{UNDEFINED}: nothing left to compare",
    )
    return figure


def _draw_panel(axis: Axes, table: pd.DataFrame, column: str, context: FigureContext) -> AxesImage:
    grid = table.pivot(index="p", columns="q", values=column)
    values = grid.to_numpy(float)
    image = axis.imshow(values, cmap=SHARES, norm=Normalize(0, 1), aspect="auto", origin="lower")
    axis.set_facecolor("0.93")
    _draw_contours(axis, values)
    before = np.zeros(values.shape, bool)
    before[0] = column == "iou"
    _draw_numbers(axis, image, values, _at_run(grid, context) | before)
    for row, place in np.argwhere(_at_run(grid, context)).tolist():
        _draw_frame(axis, row, place)
    axis.axhline(0.5, color="white", linewidth=2)
    axis.set_xticks(range(grid.shape[1]), [percent(q) for q in grid.columns], rotation=90 if grid.shape[1] > 10 else 0)
    axis.set_yticks(range(grid.shape[0]), [percent(p) if p else "0 (none)" for p in grid.index])
    axis.set_xlabel("Fraction q of the elements in a region")
    axis.set_title(TITLES[column])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return image


def _draw_contours(axis: Axes, values: Float64[np.ndarray, "p q"]) -> None:
    """Labelled lines over the refined regions; before refinement there is one row only, whose numbers stand in it."""
    refined = values[1:]
    defined = refined[np.isfinite(refined)]
    inside = LEVELS[(defined.min() < LEVELS) & (defined.max() > LEVELS)] if len(defined) else LEVELS[:0]
    if min(refined.shape) < 2 or not len(inside):
        return
    columns, rows = np.arange(values.shape[1]), np.arange(1, values.shape[0])
    # Light on dark and dark on light: the black end of the colours is left out, so a line of one colour would vanish
    # somewhere.
    colours = ["black" if level < 0.55 else "white" for level in inside]
    lines = axis.contour(columns, rows, np.ma.masked_invalid(refined), levels=inside, colors=colours, linewidths=0.7)
    axis.clabel(lines, fmt=signed, fontsize=5.5, inline_spacing=2)


def _draw_numbers(
    axis: Axes, image: AxesImage, values: Float64[np.ndarray, "p q"], shown: Bool[np.ndarray, "p q"]
) -> None:
    """Numbers in the cells `shown`, over the contours, and a mark wherever nothing is defined."""
    colours, grounds = text_colours(image, values), image.to_rgba(values)
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 5.5, "in_layout": False, "zorder": 5}
    for row, column in np.argwhere(shown | ~np.isfinite(values)):
        value = values[row, column]
        ground = {"facecolor": grounds[row, column], "edgecolor": "none", "pad": 0.6} if np.isfinite(value) else None
        axis.text(column, row, signed(value), color=colours[row, column], bbox=ground, **style)


def signed(value: float) -> str:
    """As `cell`, with a minus sign: refinement may also add to the overlap beyond chance."""
    return f"−{cell(-value)}" if value < 0 else cell(value)


def _at_run(grid: pd.DataFrame, context: FigureContext) -> Bool[np.ndarray, "p q"]:
    return np.isclose(grid.index.to_numpy(float), context.p)[:, None] & np.isclose(
        grid.columns.to_numpy(float), context.q
    )


def _draw_frame(axis: Axes, row: int, column: int) -> None:
    """White within black, so that it shows on every colour."""
    for colour, width in (("black", 2.4), ("white", 1.0)):
        axis.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=colour, linewidth=width, zorder=6)
        )
