"""The overlap tables of one model and method in, its figures out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from safety_regions.artifacts import receipts
from safety_regions.artifacts.other_code import warn_if_changed
from safety_regions.report.figures.iou_matrix import draw_iou_matrix, iou_matrix_table
from safety_regions.report.figures.iou_threshold import draw_iou_threshold, iou_threshold_table
from safety_regions.report.figures.layer_curves import draw_gap, draw_sweep, gap_table, sweep_table
from safety_regions.report.figures.location import draw_location, location_table
from safety_regions.report.figures.nway import draw_nway, nway_table
from safety_regions.report.figures.style import Context, save
from safety_regions.report.figures.surface import draw_surface, surface_table
from safety_regions.steps.inputs import given
from safety_regions.steps.jobs import Entry

FIGURES: dict[str, tuple[tuple[str, ...], Callable[..., Any], Callable[..., Any]]] = {
    "iou_matrix": (("pairs",), iou_matrix_table, draw_iou_matrix),
    "iou_threshold": (("pairs",), iou_threshold_table, draw_iou_threshold),
    "surface": (("pairs",), surface_table, draw_surface),
    "nway": (("nway", "sizes"), nway_table, draw_nway),
    "location": (("sizes",), location_table, draw_location),
}
"""By name: the overlap tables it needs, what makes its numbers of them, and what draws these."""


def draw_figures(entry: Entry) -> None:
    """Write each figure as PDF, PNG and CSV, and the folder's receipt.

    Input: the folder of tables as `overlap`. Raises `UserError` if it is not the one the recipe names, or was altered.
    """
    overlap = entry.checked("overlap")
    context = Context(**entry.recipe["context"])
    tables = {name: pd.read_parquet(overlap / f"{name}.parquet") for name in ("pairs", "nway", "sizes")}
    for name, (sources, make_table, draw) in FIGURES.items():
        table = make_table(*(tables[source] for source in sources), context)
        save(draw(table, context), table, entry.path, name)
    receipts.write(entry.path, entry.recipe, {"figures": sorted(FIGURES)}, versions=("matplotlib", "numpy", "pandas"))


def draw_layer_curves(entry: Entry) -> None:
    """Write the figures `gap` and `sweep` as PDF, PNG and CSV, and the folder's receipt.

    Inputs by role: the region of each set by the set's name. Raises `UserError` for one that is missing, altered, or
    not the one that the recipe names.
    """
    context = Context(**entry.recipe["context"])
    arrays = {name: _curves(entry, name, digest) for name, digest in entry.recipe["regions"]}
    for name, make_table, draw in (("gap", gap_table, draw_gap), ("sweep", sweep_table, draw_sweep)):
        table = make_table(arrays, context)
        save(draw(table, context), table, entry.path, name)
    receipts.write(entry.path, entry.recipe, {"figures": ["gap", "sweep"]}, versions=("matplotlib", "numpy", "pandas"))


def _curves(entry: Entry, name: str, digest: str) -> dict[str, np.ndarray]:
    path = given(entry.inputs, name, "--job")
    receipt = receipts.check(path, digest)
    warn_if_changed(str(path), receipt.code)
    return {key: np.array(value) for key, value in receipt.facts["curves"].items()}
