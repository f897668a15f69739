"""Where in the model the regions lie: their density by layer and module, before and after refinement."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from safety_regions.overlap.counts import STAGES
from safety_regions.planning.recipes.report import FigureContext
from safety_regions.report.figures.style import (
    ONE_COLUMN,
    SHARES,
    TITLES,
    add_footer,
    at_fractions,
    footer,
    new_figure,
    paper_style,
    text_colours,
)
from safety_regions.report.numbers import cell

MOST_LAYERS_WITH_NUMBERS = 16


def location_table(sizes: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """One row per stage, layer and module: mean over safety sets of size / (n_elements * q); 1 is the density asked
    for.

    For a method whose regions are ranges of layers, whatever q, it is size / n_elements: the share of the sets whose
    range has the layer.
    """
    safety = sizes[sizes["role"] == "safety"]
    rows = pd.concat([at_fractions(safety, stage, context.q, context.p) for stage in STAGES])
    asked = 1.0 if _in_layers(rows) else context.q
    rows = rows.assign(relative_density=rows["size"] / (rows["n_elements"] * asked))
    rows["module"] = pd.Categorical(rows["module"], list(dict.fromkeys(rows["module"])))
    keys = ["stage", "layer", "module"]
    return rows.groupby(keys, observed=True)["relative_density"].mean().reset_index().astype({"module": str})


def _in_layers(rows: pd.DataFrame) -> bool:
    return set(rows["module"]) == {"layer"}


@paper_style
def draw_location(table: pd.DataFrame, context: FigureContext) -> Figure:
    """Draw `location_table` as heat maps with one colour scale, layer 0 at the bottom: before and after refinement, or
    after it alone where the scope makes all densities before it the same.
    """
    layers, in_layers = int(table["layer"].nunique()), _in_layers(table)
    even = context.scope in ("matrix", "row") and not in_layers
    stages = STAGES[1:] if even else STAGES
    figure = new_figure(ONE_COLUMN + 1.2 * (len(stages) - 1), float(np.clip(layers * 0.2, 1.0, 4.8)) + 1.15)
    axes = figure.subplots(1, len(stages), sharey=True, squeeze=False)[0]
    top = max(1.0, float(table["relative_density"].max()))
    for axis, stage in zip(axes, stages, strict=True):
        image = _draw_stage(axis, table[table["stage"] == stage], top)
        axis.set_title(TITLES[stage])
    axes[0].set_ylabel("Layer")
    bar = figure.colorbar(image, ax=list(axes), aspect=25, pad=0.02)
    bar.set_label("Share of the sets" if _in_layers(table) else "Density relative to q")
    bar.outline.set_visible(False)
    before = f"; before refinement 1 everywhere, since the scope is {context.scope}" if even else ""
    add_footer(figure, f"{footer(context)}; mean over {len(context.safety)} safety sets{before}")
    return figure


def _draw_stage(axis: Axes, rows: pd.DataFrame, top: float) -> AxesImage:
    modules = list(dict.fromkeys(rows["module"]))
    grid = rows.pivot(index="layer", columns="module", values="relative_density")[modules]
    image = axis.imshow(grid, cmap=SHARES, vmin=0, vmax=top, aspect="auto", origin="lower")
    axis.set_facecolor("0.93")
    if len(grid) <= MOST_LAYERS_WITH_NUMBERS:
        colours = text_colours(image, grid.to_numpy())
        for (row, column), value in np.ndenumerate(grid.to_numpy()):
            text = f"{value:.2g}" if value >= 0.995 else cell(value)
            axis.text(
                column, row, text, ha="center", va="center", fontsize=5.2, color=colours[row, column], in_layout=False
            )
    axis.set_xticks(range(len(modules)), [""] if modules == ["layer"] else modules)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return image
