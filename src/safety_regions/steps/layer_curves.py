"""The statistics of SafeLayer for the sets of one model in, the figures of its layers out."""

from pathlib import Path

import numpy as np
from safetensors import safe_open

from safety_regions import receipts
from safety_regions.code import warn_if_changed
from safety_regions.errors import UserError
from safety_regions.figures.layer_curves import STATISTICS, draw_gap, draw_sweep, gap_table, sweep_table
from safety_regions.figures.style import Context, save


def draw_layer_curves(recipe: dict, statistics: dict[str, Path], output: Path) -> None:
    """Write the figures `gap` and `sweep` as PDF, PNG and CSV into `output`, and the folder's receipt.

    Raises `UserError` if a set's statistics are missing, altered, or not those the recipe names.
    """
    context = Context(**recipe["context"])
    arrays = {name: _read(statistics, name, digest) for name, digest in recipe["statistics"]}
    for name, make_table, draw in (("gap", gap_table, draw_gap), ("sweep", sweep_table, draw_sweep)):
        table = make_table(arrays, context)
        save(draw(table, context), table, output, name)
    receipts.write(output, recipe, {"figures": ["gap", "sweep"]}, versions=("matplotlib", "numpy", "pandas"))


def _read(statistics: dict[str, Path], name: str, digest: str) -> dict[str, np.ndarray]:
    if name not in statistics:
        raise UserError(f"no statistics given for {name}", where="--statistics", expected='{"set": "path"} for every set of the recipe')  # fmt: skip
    path = statistics[name]
    warn_if_changed(str(path), receipts.check(path, digest).code)
    with safe_open(path, framework="np") as file:
        return {key: file.get_tensor(key) for key in STATISTICS}
