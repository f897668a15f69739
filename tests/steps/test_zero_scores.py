"""An adapter whose B is 0 does nothing: its B is in no region, receipts count what is lacking, and a report warns."""

from dataclasses import asdict

import pytest
import torch
from adapters import random_adapter
from figure_tables import context_of
from random_models import random_model, random_samples

from safety_regions.artifacts import receipts
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import Nlsr
from safety_regions.methods import nlsr
from safety_regions.models.adapter import LoraAdapter
from safety_regions.overlap.counts import count
from safety_regions.overlap.tables import nway_table, pair_table
from safety_regions.planning.recipes.regions import RegionRecipe
from safety_regions.planning.recipes.report import FiguresRecipe
from safety_regions.planning.recipes.tables import OverlapRecipe
from safety_regions.regions.format import open_region, read_levels
from safety_regions.report import summary
from safety_regions.report.inputs import Gathered
from safety_regions.steps import write
from safety_regions.steps.draw_figures import draw_figures
from safety_regions.steps.entry import Entry
from safety_regions.steps.overlap import overlap

GRID, Q, RANK = (0.05, 0.5), 0.5, 5
SETS = ("a", "b", "c", "u")
RESPONSES = {
    "n_samples": 4,
    "share_refused": 0.5,
    "share_degenerate": 0.0,
    "n_foreign": 0,
    "n_cut": 0,
    "n_empty": 0,
    "mean_response_tokens": 3.0,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Regions of sets with samples of their own, as the step writes them; and their overlap."""
    loaded, folder = random_model("llama"), tmp_path_factory.mktemp("zero")
    drawn = random_adapter(loaded.model, RANK)
    adapter = LoraAdapter(drawn.scaling, {name: (a, torch.zeros_like(b)) for name, (a, b) in drawn.factors.items()})
    paths = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "adapter_input", lambda entry, loaded: {"adapter": adapter, "merged": False})
        for number, name in enumerate(SETS):
            recipe = {"kind": "region", "method": "nlsr", "version": CATALOGUE["nlsr"].version, "model": "m"}
            recipe |= {"statistics": f"of {name}", "adapter": "b is 0", "grid": list(GRID), "scope": "matrix"}
            entry = Entry.parse(str(folder / name), recipe | {"selection": VERSIONS["selection"]}, {}, RegionRecipe)
            samples = random_samples(4, seed=number)
            statistics = nlsr.measure(loaded, samples, Nlsr(), batch_tokens=99, adapter=adapter, merged=False)
            write.write_levels(entry, loaded, [statistics], RESPONSES)
            paths[name] = entry.path
    listed = [[name, receipts.read(path).digest] for name, path in paths.items()]
    recipe = {"kind": "overlap", "version": VERSIONS["overlap"], "p": Q, "orders": {"n_orders": 1, "seed": 0}}
    recipe |= {"safety": listed[:3], "utility": listed[3:]}
    entry = Entry.parse(
        str(folder / "overlap"), recipe, {name: str(path) for name, path in paths.items()}, OverlapRecipe
    )
    overlap(entry)
    return paths, entry


def sides(header):
    """Names of the A and of the B factors."""
    return ([name for name in header.shapes if name.endswith(end)] for end in ("_a", "_b"))


def test_no_weight_of_b_is_in_a_region(made):
    for path in made[0].values():
        with open_region(path) as region:
            of_a, of_b = sides(region.header)
            assert all(not read_levels(region, name).any() for name in of_b)
            assert all(region.header.counts[name][1] > 0 for name in of_a)


def test_regions_of_different_sets_share_nothing_because_of_b(made):
    """B's weights, of which an index chose the same for every set, are in no intersection."""
    paths = made[0]
    counts = count({name: paths[name] for name in "abc"}, {"u": paths["u"]}, p=Q, orders=[[0, 1, 2]])
    of_b = [number for number, name in enumerate(counts.header.shapes) if name.endswith("_b")]
    assert not any(pairs[of_b].any() for pairs in counts.pairs.values())
    pairs = pair_table(counts, Q)
    alone = pairs[(pairs["scope"] == "module") & pairs["unit"].str.endswith("_b")]
    assert len(alone) and alone[["iou", "floor_iou", "overlap_coefficient"]].isna().all(axis=None)
    assert (pairs["floor_iou"].dropna() > 0).any() and nway_table(counts)["iou"].notna().any()


def test_the_receipt_counts_what_each_fraction_lacks(made):
    for path in made[0].values():
        facts = receipts.read(path).facts
        with open_region(path) as region:
            shapes = region.header.shapes
            lacking = {
                str(f): sum(round(f * shapes[n][0] * shapes[n][1]) for n in list(sides(region.header))[1]) for f in GRID
            }
        assert facts["n_lacking"] == lacking
        wanted = {str(f): sum(round(f * rows * columns) for rows, columns in shapes.values()) for f in GRID}
        assert {f: facts["n_in_fraction"][f] + n for f, n in lacking.items()} == wanted


def test_the_overlap_warns_and_tells_the_report(made, capsys):
    paths, entry = made
    overlap(entry)
    n = receipts.read(paths["b"]).facts["n_lacking"]["0.5"]
    assert f"warning: {paths['b']}: {n} of" in capsys.readouterr().err
    facts = receipts.read(entry.path).facts
    assert facts["n_lacking"] == {name: receipts.read(path).facts["n_lacking"] for name, path in paths.items()}
    config = {"models": ["m"], "datasets": {"safety": list("abc"), "utility": ["u"]}, "thresholds": {"q": Q, "p": Q}}
    role = "overlap/m.nlsr"
    gathered = Gathered.of(config, {role: entry.path}, {role: entry.digest})
    lines = summary._lacking(gathered.lacking, config)
    assert lines[2] == f"- m.nlsr: a {n}, b {n}, c {n}, u {n}"


def test_figures_are_drawn(made, tmp_path):
    entry = made[1]
    context = asdict(context_of("m", "nlsr", 4, Q, Q, "matrix", list("abc"), ["u"]))
    context = {key: value for key, value in context.items() if value}
    recipe = {"kind": "figures", "version": VERSIONS["figures"], "style": "s", "overlap": entry.digest}
    recipe |= {"context": context}
    draw_figures(Entry.parse(str(tmp_path / "figures"), recipe, {"overlap": str(entry.path)}, FiguresRecipe))
    assert (tmp_path / "figures/location.pdf").is_file()


def test_where_nothing_is_lacking_nothing_is_said():
    config = {"datasets": {"safety": ["a"], "utility": ["u"]}, "thresholds": {"q": 0.05, "p": 0.05}}
    assert summary._lacking({}, config) == []
    assert summary._lacking({"m.nlsr": {"a": {"0.5": 3}}}, config) == []
