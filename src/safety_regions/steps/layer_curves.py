"""The receipts of SafeLayer's regions of one model in, the figures of how they were found out."""

import numpy as np

from safety_regions import receipts
from safety_regions.code import warn_if_changed
from safety_regions.figures.layer_curves import draw_gap, draw_sweep, gap_table, sweep_table
from safety_regions.figures.style import Context, save
from safety_regions.jobs import Entry
from safety_regions.steps.overlap import given


def draw_layer_curves(entry: Entry) -> None:
    """Write the figures `gap` and `sweep` as PDF, PNG and CSV, and the folder's receipt.

    Inputs by role: the region of each set by the set's name. Raises `UserError` for one that is missing, altered, or not the one
    that the recipe names.
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
