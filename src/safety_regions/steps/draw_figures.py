"""The overlap tables of one model and method in, its figures out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from safety_regions.planning.recipes.report import FiguresRecipe, LayerCurvesRecipe
from safety_regions.report.figures.agreement import agreement_table, draw_agreement
from safety_regions.report.figures.iou_matrix import draw_iou_matrix, iou_matrix_table
from safety_regions.report.figures.iou_threshold import draw_iou_threshold, iou_threshold_table
from safety_regions.report.figures.layer_curves import draw_gap, draw_sweep, gap_table, sweep_table
from safety_regions.report.figures.location import draw_location, location_table
from safety_regions.report.figures.nway import draw_nway, nway_table
from safety_regions.report.figures.style import save
from safety_regions.report.figures.surface import draw_surface, surface_table
from safety_regions.report.names import Names
from safety_regions.steps.entry import Entry

VERSIONS = ("matplotlib", "numpy", "pandas", "pillow")
FIGURES: dict[str, tuple[tuple[str, ...], Callable[..., Any], Callable[..., Any]]] = {
    "iou_matrix": (("pairs",), iou_matrix_table, draw_iou_matrix),
    "iou_threshold": (("pairs",), iou_threshold_table, draw_iou_threshold),
    "surface": (("pairs",), surface_table, draw_surface),
    "nway": (("nway", "sizes"), nway_table, draw_nway),
    "agreement": (("agreement",), agreement_table, draw_agreement),
    "location": (("sizes",), location_table, draw_location),
}
"""By name: the overlap tables it needs, what makes its numbers of them, and what draws these."""


def draw_figures(entry: Entry[FiguresRecipe]) -> None:
    """Write each figure as PDF, PNG and CSV, and the folder's receipt.

    Input: the folder of tables as `overlap`. Raises `UserError` if it is not the one the recipe names, or was altered.
    """
    overlap = entry.checked("overlap")
    context, names = entry.recipe.context, Names.of_context(entry.recipe.context)
    tables = {name: pd.read_parquet(overlap / f"{name}.parquet") for name in ("pairs", "nway", "agreement", "sizes")}
    for name, (sources, make_table, draw) in FIGURES.items():
        table = make_table(*(tables[source] for source in sources), context)
        save(draw(names.table(table), names.context(context)), table, entry.path, name)
    entry.done({"figures": sorted(FIGURES)}, versions=VERSIONS)


def draw_layer_curves(entry: Entry[LayerCurvesRecipe]) -> None:
    """Write the figures `gap` and `sweep` as PDF, PNG and CSV, and the folder's receipt.

    Inputs by role: the region of each set by the set's name. Raises `UserError` for one that is missing, altered, or
    not the one that the recipe names.
    """
    context, names = entry.recipe.context, Names.of_context(entry.recipe.context)
    arrays = {name: _arrays(entry.facts(name)["curves"]) for name, _ in entry.recipe.regions}
    for name, make_table, draw in (("gap", gap_table, draw_gap), ("sweep", sweep_table, draw_sweep)):
        table = make_table(arrays, context)
        save(draw(names.table(table), names.context(context)), table, entry.path, name)
    entry.done({"figures": ["gap", "sweep"]}, versions=VERSIONS)


def _arrays(curves: dict[str, Any]) -> dict[str, np.ndarray]:
    return {key: np.array(values) for key, values in curves.items()}
