"""Files of refined regions: the safety region's levels, and 0 where a utility region holds the element."""

from pathlib import Path

import numpy as np
import pytest
from golden_artifacts import GRID, recipe_of, write_regions

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.regions.format import open_region, read_levels
from safety_regions.steps.entry import Entry
from safety_regions.steps.refine import refine_region

WEIGHTS = {"0.q": (12, 16), "1.down": (7, 9)}
LAYERS = {f"{i}.layer": (1, 1) for i in range(4)}


def levels_of(path: Path) -> dict[str, np.ndarray]:
    with open_region(path) as region:
        return {name: read_levels(region, name) for name in region.names}


def refined(granularity: str, shapes: dict[str, tuple[int, int]], p: float) -> tuple[Path, dict[str, Path]]:
    Path("in").mkdir(exist_ok=True)
    paths, digests = write_regions("auv", granularity, shapes)
    recipe = recipe_of("refined", region=digests["a"], utility=[[name, digests[name]] for name in "uv"], p=p)
    inputs = {"region": paths["a"]} | {f"utility/{name}": paths[name] for name in "uv"}
    entry = Entry.parse("made.safetensors", recipe, {role: str(path) for role, path in inputs.items()})
    refine_region(entry)
    return entry.path, paths


@pytest.mark.parametrize("p", GRID)
@pytest.mark.parametrize(("granularity", "shapes"), [("weight", WEIGHTS), ("layer", LAYERS)])
def test_at_every_fraction_it_is_the_difference_of_the_sets(granularity, shapes, p, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, sources = refined(granularity, shapes, p)
    raw, found = levels_of(sources["a"]), levels_of(path)
    utility = [levels_of(sources[name]) for name in "uv"]
    facts = receipts.read(path).facts
    for q in GRID:
        inside, least = len(GRID) - GRID.index(q), len(GRID) - GRID.index(p)
        n = 0
        for name in shapes:
            expected = {
                at
                for at in np.ndindex(shapes[name])
                if raw[name][at] >= inside and all(u[name][at] < least for u in utility)
            }
            assert {at for at in np.ndindex(shapes[name]) if found[name][at] >= inside} == expected
            n += len(expected)
        assert facts["n_in_fraction"][str(q)] == n
        assert facts["n_before_refinement"][str(q)] == sum(int((raw[name] >= inside).sum()) for name in shapes)


def test_a_range_of_layers_may_be_in_parts_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, _ = refined("layer", LAYERS, GRID[0])
    with open_region(path) as region:
        assert (region.header.granularity, region.header.region_shape) == ("layer", "free")
        assert region.header.recipe_digest == receipts.read(path).digest


def test_a_region_of_which_nothing_is_left_is_told_and_no_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    refined("weight", WEIGHTS, GRID[0])
    assert capsys.readouterr().err == ""
    paths, digests = write_regions("a", "weight", WEIGHTS)
    recipe = recipe_of("refined", region=digests["a"], utility=[["a", digests["a"]]], p=GRID[-1])
    refine_region(Entry.parse("empty.safetensors", recipe, dict.fromkeys(("region", "utility/a"), str(paths["a"]))))
    assert set(receipts.read("empty.safetensors").facts["n_in_fraction"].values()) == {0}
    said = capsys.readouterr().err
    assert said.startswith("warning: empty.safetensors: nothing is left of the region at ")
    assert all(str(q) in said for q in GRID)


def test_a_fraction_that_the_regions_have_not_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"0\.33"):
        refined("weight", WEIGHTS, 0.33)
    assert not Path("made.safetensors").exists()
