"""Regions before and after alignment, against Python sets; and the plan of what is compared."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from safety_regions.artifacts import receipts
from safety_regions.config.load import load_registries
from safety_regions.config.registries import Registries
from safety_regions.config.run import RunConfig
from safety_regions.config.variants import HALF, RESPONSES, Variant
from safety_regions.errors import UserError
from safety_regions.overlap.alignment import Pair, compare, pairs_of
from safety_regions.overlap.ranges import expected_iou
from safety_regions.planning.make import make_plan
from safety_regions.planning.recipes.tables import AlignmentRecipe, OfVariant
from safety_regions.regions.format import write_region
from safety_regions.regions.select import Cut, level_of
from safety_regions.steps.alignment import alignment
from safety_regions.steps.entry import Entry

GRID, P = (0.1, 0.3), 0.1
OWN, UTILITY = Variant("a"), [Variant("u"), Variant("v")]
HALVES = [Variant("a", HALF, 0, half) for half in (0, 1)]
VARIANTS = [OWN, *UTILITY, *HALVES, Variant("a", RESPONSES, 0)]
SHAPES = {
    "weight": {f"{layer}.{kind}": (7, 10) for layer in range(2) for kind in "qv"},
    "neuron": {f"{layer}.{kind}": (1, 70) for layer in range(2) for kind in "qv"},
    "layer": {f"{layer}.layer": (1, 1) for layer in range(6)},
}


def levels_of(granularity, seed):
    random = np.random.default_rng(seed)
    if granularity != "layer":
        return {name: random.integers(0, 3, shape, dtype=np.uint8) for name, shape in SHAPES[granularity].items()}
    first, last = sorted(random.integers(0, 6, 2))
    return {name: np.full((1, 1), 2 * (first <= n <= last), np.uint8) for n, name in enumerate(SHAPES["layer"])}


@pytest.fixture(params=SHAPES)
def world(request, tmp_path):
    """Files and levels of both models, by variant."""
    sides, files = [], []
    for side in (0, 1):
        sides.append({of: levels_of(request.param, [side, n]) for n, of in enumerate(VARIANTS)})
        files.append({of: tmp_path / f"{side}.{of.name}" for of in VARIANTS})
        for of, path in files[-1].items():
            cut = Cut(GRID, "matrix")
            digest = receipts.recipe_digest({"of": path.name})
            levels = sides[-1][of].items()
            write_region(path, levels, recipe_digest=digest, cut=cut, granularity=request.param)
            receipts.write(path, {"of": path.name}, {})
    return SimpleNamespace(granularity=request.param, sides=sides, files=files, folder=tmp_path)


def elements(levels, fraction):
    level = level_of(GRID, fraction)
    return {(name, *at) for name, matrix in levels.items() for at in np.argwhere(matrix >= level).tolist()}


def test_every_number_is_that_of_python_sets(world):
    table = compare(world.files, ["u", "v"], P)
    keys = ["set", "variant_before", "variant_after", "stage", "q"]
    rows = table.set_index(keys)
    assert rows.index.is_unique
    closed = [set.union(*(elements(side[of], P) for of in UTILITY)) for side in world.sides]
    n_elements = sum(rows_ * columns for rows_, columns in SHAPES[world.granularity].values())
    seen = 0
    for pair, q, stage in product(pairs_of(VARIANTS), GRID, ("raw", "refined")):
        key = (pair.before.set, pair.before.label, pair.after.label, stage, q)
        if pair.before in UTILITY and stage == "refined":
            assert key not in rows.index
            continue
        before, after = (elements(side[of], q) for side, of in zip(world.sides, pair, strict=True))
        if stage == "refined":
            before, after = before - closed[0], after - closed[1]
        row, seen = rows.loc[key], seen + 1
        found = row[["size_before", "size_after", "intersection", "union"]].tolist()
        assert found == [len(before), len(after), len(before & after), len(before | after)]
        np.testing.assert_equal(row["iou"], found[2] / found[3] if found[3] else np.nan)
        assert row["n_elements"] == n_elements - (len(closed[0] | closed[1]) if stage == "refined" else 0)
        assert row["harmless"] == (pair.before in UTILITY)
    assert seen == len(table)
    assert table["p"].isna().eq(table["stage"] == "raw").all() and set(table["p"].dropna()) == {P}


def test_the_floor_is_what_random_regions_share(world):
    """Raw: as everywhere. Refined: drawn, each from what its own model leaves open."""
    rows = compare(world.files, ["u", "v"], P).set_index(["set", "variant_before", "variant_after", "stage", "q"])
    raw, refined = (rows.loc[("a", "own", "own", stage, 0.3)] for stage in ("raw", "refined"))
    own = [side[OWN] for side in world.sides]
    if world.granularity == "layer":
        lengths = np.array([len(elements(levels, 0.3)) for levels in own])
        assert raw["floor_iou"] == pytest.approx(expected_iou(np.ones(6), lengths))
        return
    closed = [set.union(*(elements(side[of], P) for of in UTILITY)) for side in world.sides]
    random, shared, union = np.random.default_rng(0), 0, 0
    for _ in range(300):
        drawn = [set(), set()]
        for side, (levels, gone) in enumerate(zip(own, closed, strict=True)):
            for name, shape in SHAPES[world.granularity].items():
                left = sorted({(name, *at) for at in np.ndindex(*shape)} - gone)
                n = len([of for of in elements(levels, 0.3) - gone if of[0] == name])
                drawn[side] |= {left[at] for at in random.permutation(len(left))[:n]}
        shared, union = shared + len(drawn[0] & drawn[1]), union + len(drawn[0] | drawn[1])
    assert refined["floor_iou"] == pytest.approx(shared / union, abs=0.01)


def test_halves_are_compared_crossed_too():
    assert pairs_of([OWN, *HALVES]) == [
        Pair(OWN, OWN),
        Pair(HALVES[0], HALVES[0]),
        Pair(HALVES[0], HALVES[1]),
        Pair(HALVES[1], HALVES[1]),
        Pair(HALVES[1], HALVES[0]),
    ]


def recipe_and_inputs(world):
    listed, inputs = [], {}
    for side, files in zip(("before", "after"), world.files, strict=True):
        listed.append([OfVariant.of(of, receipts.read(path).digest) for of, path in files.items()])
        inputs |= {of.role(side): path for of, path in files.items()}
    return AlignmentRecipe(before=listed[0], after=listed[1], utility=["u", "v"], p=P), inputs


def test_the_step_writes_the_table_and_checks_what_it_reads(world):
    recipe, inputs = recipe_and_inputs(world)
    for output in ("one", "two"):
        alignment(Entry(world.folder / output, recipe, inputs))
    assert receipts.check(world.folder / "one").files == receipts.check(world.folder / "two").files
    expected = compare(world.files, ["u", "v"], P)
    pd.testing.assert_frame_equal(pd.read_parquet(world.folder / "one/alignment.parquet"), expected)
    with pytest.raises(UserError, match="made by recipe"):
        alignment(Entry(world.folder / "three", recipe, inputs | {"after/a/own": inputs["before/a/own"]}))


def test_models_of_other_shapes_are_refused(world, tmp_path):
    other = tmp_path / "other"
    shapes = {name: (rows, columns + 1) for name, (rows, columns) in SHAPES["weight"].items()}
    levels = {name: np.ones(shape, np.uint8) for name, shape in shapes.items()}
    write_region(other, levels.items(), recipe_digest="0" * 64, cut=Cut(GRID, "matrix"))
    with pytest.raises(UserError, match="differs") as error:
        compare([world.files[0], world.files[1] | {OWN: other}], ["u", "v"], P)
    assert error.value.where == str(other)


RUN = {
    "datasets": {"safety": ["syn_build", "syn_steal"], "utility": ["syn_chores"]},
    "methods": {"safeneuron": None, "safelayer": None},
    "constrain": None,
}


def plan_of(models, thresholds=None, **of):
    run = RunConfig.model_validate(RUN | {"models": models, "thresholds": thresholds or {}})
    registries = load_registries(run)
    specs = {name: spec.model_copy(update=of.get(name, {})) for name, spec in registries.models.items()}
    return make_plan(run, Registries(registries.datasets, specs))


def aligned(plan):
    return {a.name: a for a in plan.made.values() if a.kind == "alignment"}


def test_a_run_with_a_model_and_its_base_compares_their_regions():
    """Of every method whose regions are the model's own, whichever of the two is listed first; and nothing else is
    another than without.
    """
    pair = ["smollm2-135m-aligned", "smollm2-135m"]
    for models in (pair, pair[::-1]):
        plan = plan_of(models)
        assert [*aligned(plan)] == ["smollm2-135m-aligned.snip", "smollm2-135m-aligned.wanda"]
    made = aligned(plan)["smollm2-135m-aligned.snip"]
    assert made.inputs["before/syn_build/own"] is plan.regions["smollm2-135m", "snip"]["syn_build"]
    assert made.inputs["after/syn_chores/own"] is plan.regions["smollm2-135m-aligned", "snip"]["syn_chores"]
    labels = {"own", "split0.0", "split0.1", "template0", "template1"}
    assert {of.label for of in made.recipe.before} == labels and {of.label for of in made.recipe.after} == labels
    roles = [role for role in plan.targets[0].inputs if role.startswith("alignment/")]
    assert roles == [f"alignment/smollm2-135m-aligned.{method}/smollm2-135m" for method in ("snip", "wanda")]
    single = [plan_of([name]) for name in pair]
    assert not any(aligned(of) for of in single)
    new = {a.kind for a in plan.made.values()} - {a.kind for of in single for a in of.made.values()}
    known = {a.digest for of in single for a in of.made.values()}
    moved = {a.kind for a in plan.made.values() if a.digest not in known}
    assert (new, moved) == ({"alignment"}, {"alignment", "report"})
    assert not [batch for batch in plan.batches.values() if len({a.kind for a in batch.artifacts} & moved) > 1]
    (job,) = [batch for batch in plan.batches.values() if batch.artifacts[0].kind == "alignment"]
    assert (job.step, job.stem, len(job.artifacts)) == ("overlap", "smollm2-135m-aligned", 2)


def test_only_what_decides_a_comparison_moves_it():
    pair = ["tiny-llama", "tiny-mistral"]
    of = {"tiny-mistral": {"before_alignment": "tiny-llama"}}
    digests = {
        said: [a.digest for a in aligned(plan_of(pair, thresholds=thresholds, **of)).values()]
        for said, thresholds in {"": {}, "q": {"q": 0.01}, "p": {"p": 0.01}}.items()
    }
    assert digests[""] == digests["q"] and not {*digests[""]} & {*digests["p"]}


def test_a_registry_may_say_what_a_model_was_before():
    models = ["tiny-llama", "tiny-mistral"]
    assert not aligned(plan_of(models))
    plan = plan_of(models, **{"tiny-mistral": {"before_alignment": "tiny-llama"}})
    assert [*aligned(plan)] == ["tiny-mistral.snip", "tiny-mistral.wanda"]
    assert {a.path for a in plan.made.values() if a.kind not in ("alignment", "report")} == {
        a.path for a in plan_of(models).made.values() if a.kind != "report"
    }
    spec = plan.registries.models["smollm2-135m-aligned"]
    said = spec.model_copy(update={"before_alignment": "other"})
    assert (spec.unaligned, said.unaligned) == ("smollm2-135m", "other")
