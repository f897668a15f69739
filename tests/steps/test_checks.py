"""What steps refuse of what they are handed, and warn of, before they make anything of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from random_models import random_model
from some_recipes import some_recipe

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.methods.weights import weight_levels
from safety_regions.models.architecture import projections
from safety_regions.planning.recipes.data import OfSet
from safety_regions.regions.format import write_region
from safety_regions.regions.select import Cut
from safety_regions.steps.across import _shapes_of
from safety_regions.steps.entry import Entry
from safety_regions.steps.jobs import grouped, job_parser
from safety_regions.steps.overlap import _lacking
from safety_regions.steps.prompt_overlap import tabulate_prompt_overlap
from safety_regions.steps.training_data import check_rows

CUT = Cut((0.1, 0.3), "matrix")


def prompts_of(folder, name):
    path = folder / f"{name}.jsonl"
    path.write_text(json.dumps({"id": f"{name}-0", "prompt": f"How is {name} made?"}) + "\n")
    return path, receipts.write(path, {"kind": "prompts", "dataset": name}, {}).digest


def region(path, shapes, granularity="weight", digest="0" * 64):
    levels = ((name, np.zeros(shape, np.uint8)) for name, shape in shapes.items())
    write_region(path, levels, recipe_digest=digest, cut=CUT, granularity=granularity)
    return path


def test_rows_that_are_handed_over_are_those_of_the_recipe(tmp_path):
    path, digest = prompts_of(tmp_path, "x")
    check_rows({"x": path}, {"x": digest, "elsewhere": "0" * 64})
    with pytest.raises(UserError, match="made by recipe"):
        check_rows({"x": path}, {"x": "0" * 64})


def test_prompts_of_other_sets_than_the_recipe_names_are_refused(tmp_path):
    (x, of_x), (y, of_y) = (prompts_of(tmp_path, name) for name in "xy")
    recipe = replace(some_recipe("prompt_overlap"), prompts=[OfSet("x", of_x), OfSet("y", of_y)])
    with pytest.raises(UserError, match=r"sets x, z(?s:.*)expected: x, y"):
        tabulate_prompt_overlap(recipe, {"x": x, "z": y}, tmp_path / "table.csv")
    tabulate_prompt_overlap(recipe, {"y": y, "x": x}, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").exists()


def test_a_region_whose_file_names_another_recipe_is_refused(tmp_path):
    recipe = {"kind": "region", "method": "wanda"}
    own, other = receipts.recipe_digest(recipe), "1" * 64
    for digest in (own, other):
        path = region(tmp_path / f"{digest[:3]}.safetensors", {"0.q": (2, 3)}, digest=digest)
        receipts.write(path, recipe, {})
        entry = Entry(
            tmp_path / "out", replace(some_recipe("across"), regions={"wanda": {"x": own}}), {"wanda/x": path}
        )
        if digest == own:
            assert entry.region("wanda/x") == path
        else:
            with pytest.raises(UserError, match="says it was made by recipe 111111111111"):
                entry.region("wanda/x")


def test_the_shapes_of_matrices_are_those_of_the_weight_regions_that_have_most(tmp_path):
    most = {"0.q": (2, 3), "0.k": (2, 3)}
    files = [
        region(tmp_path / "neuron", {"0.ffn": (1, 4), "0.v": (1, 4), "1.ffn": (1, 4)}, "neuron"),
        region(tmp_path / "most", most),
        region(tmp_path / "few", {"0.q": (2, 3)}),
    ]
    assert _shapes_of({str(n): {"x": path} for n, path in enumerate(files)}) == most
    assert _shapes_of({"neurons": {"x": files[0]}}) == {}


def test_the_largest_lack_is_told(tmp_path, capsys):
    facts = {"n_lacking": {"0.05": 3, "0.1": 12, "0.2": 9, "0.3": 0}, "n_in_fraction": {"0.05": 9, "0.1": 12, "0.2": 8}}
    assert _lacking(facts, tmp_path / "x") == {"0.05": 3, "0.1": 12, "0.2": 9}
    assert "12 of 24 elements that fraction 0.1 asks for are lacking" in capsys.readouterr().err
    assert _lacking({"n_lacking": {"0.1": 0}}, tmp_path / "x") == {} and not capsys.readouterr().err


def test_groups_come_in_the_order_of_their_first(tmp_path):
    entries = [
        Entry(tmp_path / str(n), some_recipe("prompts", seed=seed), {}) for n, seed in enumerate((2, 1, 2, 3, 1))
    ]
    found = grouped(entries, lambda entry: entry.recipe.seed)
    assert [[entry.path.name for entry in group] for group in found] == [["0", "2"], ["1", "4"], ["3"]]


def test_a_device_that_no_job_knows_is_refused_with_the_words(capsys):
    words = ["--job", "@x", "--manifest", "y", "--device"]
    assert job_parser(None, scoring=True).parse_args([*words, "cuda"]).device == "cuda"
    with pytest.raises(SystemExit):
        job_parser(None, scoring=True).parse_args([*words, "tpu"])
    assert "invalid choice: 'tpu'" in capsys.readouterr().err


def test_matrices_without_a_statistic_have_no_levels():
    loaded = random_model("llama")
    read = {p.name: p.read().abs() for p in projections(loaded.model) if p.kind == "down"}
    found = dict(weight_levels(loaded, read, lambda weight, statistic: statistic, CUT))
    assert list(found) == list(read) and all(levels.any() for levels in found.values())
