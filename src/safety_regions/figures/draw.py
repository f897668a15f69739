"""The overlap tables of one model and method in, its figures out."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from safety_regions import receipts
from safety_regions.figures.iou_matrix import draw_iou_matrix, iou_matrix_table
from safety_regions.figures.iou_threshold import draw_iou_threshold, iou_threshold_table
from safety_regions.figures.location import draw_location, location_table
from safety_regions.figures.nway import draw_nway, nway_table
from safety_regions.figures.style import Context, save
from safety_regions.figures.surface import draw_surface, surface_table
from safety_regions.jobs import Entry

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
