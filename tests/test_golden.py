"""Bytes of today's code against those recorded for its versions: whoever changes the one must raise the other.

After raising a version, record the new bytes: `python tests/test_golden.py`.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from random_models import needs_of, random_model, random_samples

from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import options_of
from safety_regions.methods.interface import method
from safety_regions.regions.format import write_region
from safety_regions.regions.select import Cut, select

GOLDEN = Path(__file__).with_name("golden.json")
GRID = (0.01, 0.05, 0.2)
CUT = Cut(GRID, "matrix")
# Small random models never refuse, so the range is the one read off the angles.
OPTIONS: dict[str, dict] = {"safelayer": {"max_new_tokens": 2, "alpha_steps": 1, "n_pairs": 50}}


def region_of(name: str, path: Path) -> str:
    """sha256 of the region that a method finds in a fixed random model."""
    loaded, of, options = random_model("llama"), method(name), options_of(name, OPTIONS.get(name, {}))
    needs = needs_of(name, loaded)
    statistics = of.measure(loaded, random_samples(8), options, batch_tokens=60, **needs)
    levels = of.levels(loaded, statistics, options, CUT, **(needs if CATALOGUE[name].needs_adapter else {}))
    write_region(path, levels, recipe_digest="0" * 64, cut=CUT, granularity=CATALOGUE[name].granularity)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def selection_of(path: Path) -> str:
    """sha256 of the regions selected from fixed scores with many ties, for every scope."""
    generator = np.random.Generator(np.random.PCG64(0))
    scores = {
        f"{layer}.{kind}": generator.integers(0, 50, (30, 40)).astype(np.float32) for layer in range(2) for kind in "qv"
    }
    whole = hashlib.sha256()
    for scope in ("row", "matrix", "layer", "model"):
        cut = Cut(GRID, scope)
        write_region(path, select(list(scores), scores.__getitem__, cut), recipe_digest="0" * 64, cut=cut)
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
