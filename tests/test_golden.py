"""Bytes of today's code against those recorded for its versions: whoever changes the one must raise the other.

After raising a version, record the new bytes: `python tests/test_golden.py`.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from random_models import random_model, random_samples

from safety_regions.methods.catalogue import CATALOGUE
from safety_regions.methods.interface import method
from safety_regions.models.architecture import projections
from safety_regions.recipes import VERSIONS
from safety_regions.regions import write_region
from safety_regions.select import select

GOLDEN = Path(__file__).with_name("golden.json")
GRID = [0.01, 0.05, 0.2]


def region_of(name: str, path: Path) -> str:
    """sha256 of the region that a method finds in a fixed random model."""
    loaded, of = random_model("llama"), method(name)
    statistics = of.measure(loaded, random_samples(8), batch_tokens=60)
    matrices = {p.name: p for p in projections(loaded.model)}

    def score(matrix: str) -> np.ndarray:
        p = matrices[matrix]
        return of.score(p.module.weight[p.start : p.stop], statistics[matrix]).numpy()

    write_region(path, select(list(matrices), score, GRID, "matrix"), recipe_digest="0" * 64, grid=GRID, scope="matrix")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def selection_of(path: Path) -> str:
    """sha256 of the regions selected from fixed scores with many ties, for every scope."""
    generator = np.random.Generator(np.random.PCG64(0))
    scores = {f"{layer}.{kind}": generator.integers(0, 50, (30, 40)).astype(np.float32) for layer in range(2) for kind in "qv"}  # fmt: skip
    whole = hashlib.sha256()
    for scope in ("row", "matrix", "layer", "model"):
        write_region(path, select(list(scores), scores.__getitem__, GRID, scope), recipe_digest="0" * 64, grid=GRID, scope=scope)  # fmt: skip
        whole.update(path.read_bytes())
    return whole.hexdigest()


def found(name: str, path: Path) -> dict:
    if name == "selection":
        return {"version": VERSIONS["selection"], "sha256": selection_of(path)}
    return {"version": CATALOGUE[name].version, "sha256": region_of(name, path)}


@pytest.mark.parametrize("name", [*CATALOGUE, "selection"])
def test_bytes_change_with_the_version_and_only_then(name, tmp_path):
    recorded, today = json.loads(GOLDEN.read_text())[name], found(name, tmp_path / "region")
    assert today == recorded, f"{name}: raise its version if its bytes changed, then run `python tests/test_golden.py`"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        record = {name: found(name, Path(folder) / "region") for name in [*CATALOGUE, "selection"]}
    GOLDEN.write_text(json.dumps(record, indent=1) + "\n")
