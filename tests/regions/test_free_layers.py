"""A method that selects layers freely: its floors, controls and figures are those of free layers, not of ranges."""

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from evaluate_case import OPTIONS
from figure_tables import context_of
from golden_artifacts import some_rows, write_model, write_rows
from pipeline import ROOT

from safety_regions.artifacts import receipts
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.base import Section
from safety_regions.config.load import load_registries, load_run
from safety_regions.config.method_catalogue import CATALOGUE, MethodInfo
from safety_regions.evaluation import table
from safety_regions.models.architecture import layout_of
from safety_regions.overlap.across_methods import Question, compare
from safety_regions.overlap.counts import count
from safety_regions.overlap.tables import agreement_table, nway_table, pair_table, size_table
from safety_regions.planning.make import make_plan
from safety_regions.planning.recipes.regions import RegionRecipe
from safety_regions.planning.recipes.report import FiguresRecipe
from safety_regions.planning.recipes.tables import EvaluateRecipe
from safety_regions.regions.format import open_region
from safety_regions.report.figures.nway import nway_table as drawn_table
from safety_regions.steps import write
from safety_regions.steps.draw_figures import draw_figures
from safety_regions.steps.entry import Entry
from safety_regions.steps.evaluate import evaluate_regions

NAME, GRID, Q = "freelayers", [0.1, 0.5], 0.5
HELD = {"a": (0, 2), "b": (0, 3), "c": (1, 2), "u": (3,)}
"""Layers of each set's region, of four."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The method in the catalogue, and its regions as the steps write them."""
    module = ModuleType(f"safety_regions.methods.{NAME}")
    module.measure = lambda *args, **kwargs: {}
    module.levels = lambda loaded, statistics, options, cut: (
        (f"{layer}.layer", np.full((1, 1), len(cut.grid) * (layer in statistics["held"]), np.uint8))
        for layer in range(4)
    )
    folder = tmp_path_factory.mktemp("free")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(CATALOGUE, NAME, MethodInfo(1, "layer", keeps_statistics=True, own_pass=True))
        patch.setitem(sys.modules, module.__name__, module)
        patch.setattr(write, "options_of", lambda name, options: Section())
        patch.setattr(receipts, "code_of", lambda recipe: {})
        (folder / "in").mkdir()
        model, of_model, loaded = write_model(num_hidden_layers=4)
        patch.setattr(Entry, "model", lambda entry, device, **how: loaded)
        yield folder, model, of_model, loaded


def region_of(made, name):
    """Path of a set's region, selected from its statistic."""
    folder, _, of_model, loaded = made
    recipe = {"kind": "region", "method": NAME, "version": 1, "model": of_model, "statistics": f"of {name}"}
    recipe |= {"grid": GRID, "scope": "matrix", "selection": VERSIONS["selection"]}
    entry = Entry.parse(str(folder / f"{name}.region"), recipe, {}, RegionRecipe)
    write.write_levels(entry, loaded, [{"held": torch.tensor(HELD[name])}], {"n_samples": 3})
    return entry.path


@pytest.fixture(scope="module")
def paths(made):
    return {name: region_of(made, name) for name in HELD}


@pytest.fixture(scope="module")
def counts(paths):
    return count({n: paths[n] for n in "abc"}, {"u": paths["u"]}, p=Q, orders=[[0, 1, 2], [2, 0, 1]])


def test_its_regions_say_that_they_are_free(paths):
    with open_region(paths["a"]) as region:
        assert (region.header.granularity, region.header.region_shape) == ("layer", "free")


def test_the_floor_of_two_free_layers_of_four_is_a_third(counts):
    rows = pair_table(counts, Q)
    raw, refined = (rows[(rows["stage"] == stage) & (rows["q"] == Q)] for stage in ("raw", "refined"))
    assert raw["floor_iou"].to_numpy() == pytest.approx(1 / 3)
    # Of three open layers a and c hold two and b one: 3 x 2/3 x 1/3 of 3 x (1 - 1/3 x 2/3).
    floors = dict(zip(refined["a"] + refined["b"], refined["floor_iou"], strict=True))
    assert floors["ab"] == floors["bc"] == pytest.approx((2 / 3) / (7 / 3))
    assert floors["ac"] == pytest.approx((4 / 3) / (8 / 3))
    three = nway_table(counts)
    three = three[(three["stage"] == "raw") & (three["q"] == Q) & (three["n"] == 3)]
    assert three["floor_iou"].to_numpy() == pytest.approx((4 / 8) / (4 * 7 / 8))


def test_the_figure_s_floor_is_of_free_layers_too(counts):
    context = context_of("tiny", NAME, 3, Q, Q, "matrix", list("abc"), ["u"])
    drawn = drawn_table(nway_table(counts), size_table(counts, Q), context)
    raw = drawn[drawn["stage"] == "raw"].set_index("n")
    assert raw["floor_union"].to_numpy() == pytest.approx([1 / 2, 3 / 4, 7 / 8])
    assert raw["floor_iou"].to_numpy()[1:] == pytest.approx([1 / 3, 1 / 7])


def test_every_figure_is_drawn(counts, tmp_path):
    folder = tmp_path / "overlap"
    folder.mkdir()
    tables = {"pairs": pair_table(counts, Q), "nway": nway_table(counts), "sizes": size_table(counts, Q)}
    tables["agreement"] = agreement_table(counts)
    for name, of in tables.items():
        of.to_parquet(folder / f"{name}.parquet")
    context = context_of("tiny", NAME, 3, Q, Q, "matrix", list("abc"), ["u"]).as_json()
    recipe = {
        "kind": "figures",
        "version": VERSIONS["figures"],
        "style": "s",
        "overlap": receipts.write(folder, {"kind": "overlap"}, {}).digest,
        "context": context,
    }
    draw_figures(Entry.parse(str(tmp_path / "figures"), recipe, {"overlap": str(folder)}, FiguresRecipe))
    assert (tmp_path / "figures/nway.pdf").is_file()


def test_the_plan_draws_no_curves_that_the_method_has_not(registries_of_demo, monkeypatch):
    run, registries = registries_of_demo
    kinds = {a.kind for a in make_plan(run, registries).made.values()}
    monkeypatch.setitem(CATALOGUE, "safelayer", replace(CATALOGUE["safelayer"], shape="free", curves=None))
    assert kinds - {a.kind for a in make_plan(run, registries).made.values()} == {"layer_curves"}


@pytest.fixture
def registries_of_demo(monkeypatch):
    monkeypatch.chdir(ROOT)
    run = load_run({"models": ["tiny-llama"]})
    return run, load_registries(run)


def test_across_methods_it_holds_each_layer_with_the_same_chance(made, paths):
    layout = layout_of(made[3].model)
    methods = {"one": paths, "other": {name: paths[of] for name, of in zip("abcu", "bcau", strict=True)}}
    compared = compare(methods, layout, Question(["a", "b"], ["u"], Q, Q))
    raw = compared[compared["stage"] == "raw"]
    assert raw["floor_iou"].to_numpy() == pytest.approx(1 / 3)
    refined = compared[(compared["stage"] == "refined") & (compared["set"] == "a")]
    assert refined["floor_iou"].to_numpy() == pytest.approx((2 / 3) / (7 / 3))


def test_random_controls_are_free_layers(made, paths, monkeypatch):
    folder, model, of_model, _ = made
    taken = []
    draw = table.random_like
    monkeypatch.setattr(
        table,
        "random_like",
        lambda masks, header, *rest: taken.append(header.region_shape) or draw(masks, header, *rest),
    )
    inputs, recipe = (
        {"model": model},
        {"kind": "evaluate", "version": VERSIONS["evaluate"], "method": NAME, "q": Q, "p": Q},
    )
    recipe |= {
        "model": of_model,
        "options": OPTIONS | {"controls": ["random", "magnitude"]},
        "doses": [Q],
        "harmless": [],
    }
    for role, names in (("safety", "a"), ("utility", "u")):
        recipe[role] = [[name, receipts.read(paths[name]).digest] for name in names]
        inputs |= {f"region/{name}": paths[name] for name in names}
    for role in ("harmful", "over_refusal", "texts"):
        inputs[f"{role}/{role}"], digest = write_rows(role, some_rows(role, 2, "fine words"))
        recipe[role] = [[role, digest]]
    inputs = {role: str(path) for role, path in inputs.items()}
    evaluate_regions(Entry.parse(str(folder / "evaluated"), recipe, inputs, EvaluateRecipe), "cpu")
    found = pd.read_csv(folder / "evaluated/evaluate.csv")
    assert taken == ["free", "free"]
    shares = found.set_index("condition")["share"]
    assert (shares.loc["random"] == shares["refined"]).all() and shares["refined"] > 0
    assert "magnitude" not in shares
