"""The overlap tables of one model and method in, its figures out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from safety_regions import receipts
from safety_regions.figures.iou_matrix import draw_iou_matrix, iou_matrix_table
from safety_regions.figures.iou_threshold import draw_iou_threshold, iou_threshold_table
from safety_regions.figures.location import draw_location, location_table
from safety_regions.figures.nway import draw_nway, nway_table
from safety_regions.figures.style import Context, save

FIGURES: dict[str, tuple[str, Callable[..., Any], Callable[..., Any]]] = {
    "iou_matrix": ("pairs", iou_matrix_table, draw_iou_matrix),
    "iou_threshold": ("pairs", iou_threshold_table, draw_iou_threshold),
    "nway": ("nway", nway_table, draw_nway),
    "location": ("sizes", location_table, draw_location),
}
"""By name: the overlap table it needs, what makes its numbers of that table, and what draws these."""


def draw_figures(recipe: dict, overlap: Path, output: Path) -> None:
    """Write each figure as PDF, PNG and CSV into `output`, and the folder's receipt.

    Raises `UserError` if the overlap folder is not the one the recipe names, or was altered.
    """
    receipts.check(overlap, recipe["overlap"])
    context = Context(**recipe["context"])
    tables = {name: pd.read_parquet(overlap / f"{name}.parquet") for name in ("pairs", "nway", "sizes")}
    for name, (source, make_table, draw) in FIGURES.items():
        table = make_table(tables[source], context)
        save(draw(table, context), table, output, name)
    receipts.write(output, recipe, {"figures": sorted(FIGURES)}, versions=("matplotlib", "numpy", "pandas"))
