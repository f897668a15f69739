"""The receipts of SafeLayer's regions of one model in, the figures of how they were found out."""

from pathlib import Path

import numpy as np

from safety_regions import receipts
from safety_regions.code import warn_if_changed
from safety_regions.figures.layer_curves import draw_gap, draw_sweep, gap_table, sweep_table
from safety_regions.figures.style import Context, save
from safety_regions.steps.overlap import given


def draw_layer_curves(recipe: dict, regions: dict[str, Path], output: Path) -> None:
    """Write the figures `gap` and `sweep` as PDF, PNG and CSV into `output`, and the folder's receipt.

    Raises `UserError` if a set's region is missing, altered, or not the one the recipe names.
    """
    context = Context(**recipe["context"])
    arrays = {name: _curves(regions, name, digest) for name, digest in recipe["regions"]}
    for name, make_table, draw in (("gap", gap_table, draw_gap), ("sweep", sweep_table, draw_sweep)):
        table = make_table(arrays, context)
        save(draw(table, context), table, output, name)
    receipts.write(output, recipe, {"figures": ["gap", "sweep"]}, versions=("matplotlib", "numpy", "pandas"))


def _curves(regions: dict[str, Path], name: str, digest: str) -> dict[str, np.ndarray]:
    path = given(regions, name, "--regions")
    receipt = receipts.check(path, digest)
    warn_if_changed(str(path), receipt.code)
    return {key: np.array(value) for key, value in receipt.facts["curves"].items()}
