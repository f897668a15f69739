"""The table of replicate regions, and the plan of what is compared."""

import numpy as np
import pytest
import yaml

from safety_regions.cluster.duration import samples_of
from safety_regions.config.load import load_registries
from safety_regions.config.run import RunConfig
from safety_regions.config.variants import BORROWED, DRAW, FIRST, HALF, OWN, RESPONSES, Variant
from safety_regions.overlap.counts import UNION, count
from safety_regions.overlap.replicates import Facts, replicate_table, shared
from safety_regions.planning.make import make_plan
from safety_regions.planning.recipes.regions import Part
from safety_regions.regions.format import write_region
from safety_regions.regions.select import Cut
from safety_regions.steps.replicates import _prompts

GRID = (0.1, 0.5)


def region(path, members):
    """A region of one matrix of 8 elements: 4 of them inside, the first of them inside both fractions."""
    levels = np.zeros((1, 8), np.uint8)
    levels[0, members] = 1
    levels[0, members[0]] = 2
    write_region(path, [("0.q", levels)], recipe_digest="0" * 64, cut=Cut(GRID, "matrix"))
    return path


@pytest.fixture
def counts(tmp_path):
    paths = {
        "a/split0.0": region(tmp_path / "a0", [0, 1, 2, 3]),
        "a/split0.1": region(tmp_path / "a1", [0, 1, 2, 4]),
        "b/split0.0": region(tmp_path / "b0", [0, 5, 6, 7]),
    }
    removed = {"removed/u": region(tmp_path / "u", [0, 1, 6, 7])}
    return count(paths, removed, 0.5, [], removals=[(UNION, 0.5)])


def test_pairs_of_one_set_and_of_different_sets(counts):
    first, second, other = Variant("a", HALF, 0, 0), Variant("a", HALF, 0, 1), Variant("b", HALF, 0, 0)
    members = {"a/split0.0": first, "a/split0.1": second, "b/split0.0": other}
    facts = {
        first: Facts(["x", "y"], False),
        second: Facts(["z", "v", "w"], False),
        other: Facts(["x", "v", "w"], True),
    }
    table = replicate_table("halves", members, facts, counts, 0.5)
    assert set(table["kind"]) == {"halves"} and not {"scope", "unit"} & {*table.columns}
    at = table[(table["q"] == 0.5)].set_index(["stage", "a", "variant_a", "b", "variant_b"])
    within = at.loc[("raw", "a", "split0.0", "a", "split0.1")]
    assert within["iou"] == pytest.approx(3 / 5) and within["shared_prompts"] == 0
    assert within["floor_iou"] == pytest.approx(0.25 / 0.75)
    between = at.loc[("raw", "a", "split0.0", "b", "split0.0")]
    assert between["iou"] == pytest.approx(1 / 7) and between["shared_prompts"] == 0.5
    assert (between["n_samples_a"], between["n_samples_b"]) == (2, 3)
    assert not between["harmless_a"] and between["harmless_b"]
    assert at.loc[("refined", "a", "split0.0", "a", "split0.1")]["iou"] == pytest.approx(1 / 3)
    assert set(table["stage"]) == {"raw", "refined"} and set(table[table["stage"] == "refined"]["p"]) == {0.5}
    assert len(table) == 3 * 2 * len(GRID)


def test_shared_prompts():
    assert shared(["a", "b"], ["b", "c", "d"]) == 0.5
    assert np.isnan(shared([], ["a"]))


def plan_of(**changes):
    run = RunConfig.model_validate({"models": ["tiny-llama"], "methods": {"safelayer": None, "nlsr": None}, **changes})
    return make_plan(run, load_registries(run, [], {}))


def test_what_is_compared():
    plan = plan_of(datasets={"safety": ["syn_build", "syn_steal", "syn_trick"], "utility": ["syn_chores"]})
    table = next(a for a in plan.made.values() if a.kind == "replicates" and a.stem.endswith("snip"))
    groups = [(kind, [tuple(of[:2]) for of in members]) for kind, members in table.recipe.groups]
    sets = ("syn_build", "syn_steal", "syn_trick")
    assert groups[0] == ("halves", [(name, f"split0.{half}") for name in sets for half in (0, 1)])
    assert groups[1:4] == [("seeds", [(name, OWN), (name, "seed1")]) for name in sets]
    controlled = ("syn_build", "syn_steal", "syn_chores")
    variants = (OWN, "template0", "template1")
    assert groups[4] == ("responses", [(name, which) for which in variants for name in controlled])
    draw = table.inputs["prompts/syn_steal/seed1"].recipe
    assert (draw.seed, draw.offset) == (1, 0)


def test_halves_share_pairs_and_differ_in_recipe():
    plan = plan_of()
    own, halves = plan.regions["tiny-llama", "snip"], plan.replicates["tiny-llama", "snip"]
    first, second = halves[Variant("syn_build", HALF, 0, 0)], halves[Variant("syn_build", HALF, 0, 1)]
    assert first.inputs["pairs"] is own["syn_build"].inputs["pairs"]
    assert first.recipe.part == Part(split=0, half=0) and second.recipe.part == Part(split=0, half=1)
    assert len({own["syn_build"].key, first.key, second.key}) == 3


def test_regions_of_fewer_prompts_are_compared_by_their_number():
    """From the first pairs of each safety set; what the run has without them stays as it is."""
    datasets = {"safety": ["syn_build", "syn_steal"], "utility": ["syn_chores"]}
    plan, before = (plan_of(datasets=datasets, replicates=of) for of in ({"sizes": [4, 8]}, {}))
    table = next(a for a in plan.made.values() if a.kind == "replicates" and a.stem.endswith("snip"))
    groups = [[tuple(of[:2]) for of in members] for kind, members in table.recipe.groups if kind == "sizes"]
    assert groups == [[(name, f"first{n}") for name in datasets["safety"]] for n in (4, 8)]
    own, found = plan.regions["tiny-llama", "snip"], plan.replicates["tiny-llama", "snip"]
    first = found[Variant("syn_build", FIRST, 8)]
    assert first.inputs["pairs"] is own["syn_build"].inputs["pairs"] and first.recipe.part == Part(first=8)
    assert [samples_of(of) for of in (first, found[Variant("syn_build", HALF, 0, 0)], own["syn_build"])] == [8, 16, 32]
    assert table.inputs["prompts/syn_build/own"] is plan.prompts["syn_build"]
    gone = {a.kind for a in before.made.values() if a.digest not in {of.digest for of in plan.made.values()}}
    assert gone == {"replicates", "report"}


def test_the_prompts_of_a_region_are_those_that_it_is_from():
    rows = [{"prompt": prompt} for prompt in ("A", "b", "c")]
    assert _prompts(rows, Variant("x", FIRST, 2)) == ["a", "b"]
    assert _prompts(rows, Variant("x", HALF, 0, 1)) == ["b"] and _prompts(rows, Variant("x")) == ["a", "b", "c"]


def test_fewer_prompts_are_in_no_recipe_of_a_run_without():
    plan, said = (plan_of(constrain=None, replicates=of) for of in ({}, {"sizes": None}))
    assert "sizes" not in plan.targets[0].recipe.config["replicates"]
    assert said.targets[0].digest == plan.targets[0].digest


def test_some_methods_may_have_no_replicates():
    plan = plan_of(replicates={"methods": ["wanda"]}, controls={"methods": ["snip"]})
    found = {method: {of.which for of in plan.replicates["tiny-llama", method]} for method in ("snip", "wanda")}
    assert found == {"snip": {RESPONSES, BORROWED}, "wanda": {HALF, DRAW, BORROWED}}


def test_without_replicates_nothing_is_compared():
    plan = plan_of(replicates=None, controls=None)
    assert not [a for a in plan.made.values() if a.kind == "replicates"]
    assert plan.regions == plan_of().regions


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"datasets": {"n_samples": 1}}, "no two halves"),
        ({"replicates": {"sizes": [8, 32]}}, "not fewer"),
        ({"replicates": {"sizes": [8, 4]}}, "ascend"),
        ({"controls": {"safety": ["syn_build", "xstest_unsafe"]}}, "xstest_unsafe"),
        ({"controls": {"harmless": "syn_build"}}, "syn_build"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        RunConfig.model_validate(yaml.safe_load(yaml.safe_dump(changes)))
