"""Overlap counts, tables and chance floors against Python sets and closed forms."""

import math
import subprocess
import sys
from collections import Counter
from itertools import product

import numpy as np
import pandas as pd
import pytest

from safety_regions.artifacts import receipts
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.errors import UserError
from safety_regions.overlap.controls import level_table, placebo_table, taken_out
from safety_regions.overlap.counts import UNION, count, sample_orders
from safety_regions.overlap.tables import agreement_table, nway_table, pair_table, size_table
from safety_regions.planning.recipes.tables import OverlapRecipe
from safety_regions.regions.format import write_region
from safety_regions.regions.select import Cut, level_of
from safety_regions.steps.jobs import Entry
from safety_regions.steps.overlap import overlap as overlap_step

GRID = [0.05, 0.1, 0.3]
SHAPES = {"0.q": (6, 9), "0.down": (5, 20), "1.q": (6, 9), "1.down": (5, 20)}


def random_regions(folder, names, seed=0, shapes=SHAPES):
    """Region files of random levels, and the same levels as arrays."""
    generator = np.random.default_rng(seed)
    paths, levels = {}, {}
    for name in names:
        levels[name] = {m: generator.integers(0, len(GRID) + 1, shape, dtype=np.uint8) for m, shape in shapes.items()}
        paths[name] = folder / f"{name}.safetensors"
        write_region(paths[name], levels[name].items(), recipe_digest="0" * 64, cut=Cut(tuple(GRID), "matrix"))
    return paths, levels


def members(levels, fraction, matrices=SHAPES):
    """The region as a Python set of (matrix, index)."""
    level = level_of(GRID, fraction)
    return {(m, i) for m in matrices for i in np.flatnonzero(levels[m].reshape(-1) >= level)}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    safety, safety_levels = random_regions(folder, ["a", "b", "c"])
    utility, utility_levels = random_regions(folder, ["u", "v"], seed=1)
    counts = count(safety, utility, p=0.1, orders=sample_orders(3, 6, 0))
    return counts, safety_levels, utility_levels


def removed(utility_levels, utility, p, matrices=SHAPES):
    names = list(utility_levels) if utility == UNION else [utility]
    return set().union(*(members(utility_levels[n], p, matrices) for n in names))


def expected_region(row, name, safety_levels, utility_levels, matrices=SHAPES):
    region = members(safety_levels[name], row.q, matrices)
    return region - removed(utility_levels, row.utility, row.p, matrices) if row.utility else region


def test_pair_table_equals_python_sets(tables):
    counts, safety_levels, utility_levels = tables
    table = pair_table(counts, p=0.1)
    units = {
        "all": lambda unit: SHAPES,
        "module": lambda unit: [m for m in SHAPES if m.endswith(f".{unit}")],
        "layer": lambda unit: [m for m in SHAPES if m.startswith(f"{unit}.")],
    }
    for row in table.itertuples():
        matrices = units[row.scope](row.unit)
        a, b = (expected_region(row, name, safety_levels, utility_levels, matrices) for name in (row.a, row.b))
        assert (row.size_a, row.size_b, row.intersection, row.union) == (len(a), len(b), len(a & b), len(a | b))
        assert row.iou == pytest.approx(len(a & b) / len(a | b), nan_ok=True)
        assert row.overlap_coefficient == pytest.approx(len(a & b) / min(len(a), len(b)), nan_ok=True)


def test_pair_table_has_every_condition_once(tables):
    table = pair_table(tables[0], p=0.1)
    whole = table[table.scope == "all"]
    assert len(whole[whole.stage == "raw"]) == len(GRID) * 3
    assert len(whole[whole.stage == "refined"]) == len(GRID) ** 2 * 3 * 3
    assert set(whole.utility) == {"", "u", "v", UNION}
    assert set(table[(table.stage == "refined") & (table.scope != "all")].p) == {0.1}
    assert not table.duplicated(["utility", "scope", "unit", "a", "b", "q", "p"]).any()


def test_chosen_removals_give_the_rows_that_all_removals_give(tmp_path, tables):
    safety, _ = random_regions(tmp_path, ["a", "b", "c"])
    utility, _ = random_regions(tmp_path, ["u", "v"], seed=1)
    counts = count(safety, utility, p=0.1, orders=[], removals=[(UNION, 0.1), ("v", 0.3)])
    some, whole = pair_table(counts, p=0.1), pair_table(tables[0], p=0.1)
    chosen = (
        (whole.stage == "raw")
        | ((whole.utility == UNION) & (whole.p == 0.1))
        | ((whole.utility == "v") & (whole.p == 0.3))
    )
    order = ["q", "utility", "scope", "unit", "a", "b"]
    pd.testing.assert_frame_equal(*(t.sort_values(order, ignore_index=True) for t in (some, whole[chosen])))
    assert list(counts.removed) == [(UNION, 0.1), ("v", 0.3)] and counts.nway == {}


def test_nway_table_equals_python_sets(tables):
    counts, safety_levels, utility_levels = tables
    for row in nway_table(counts).itertuples():
        names = [counts.safety[i] for i in counts.orders[row.order][: row.n]]
        regions = [expected_region(row, name, safety_levels, utility_levels) for name in names]
        assert (row.intersection, row.union) == (len(set.intersection(*regions)), len(set.union(*regions)))
        assert row.added == names[-1]


def test_agreement_table_equals_python_sets(tables):
    """Raw, the floor is that of every way in which random regions of these sizes may lie, matrix by matrix."""
    counts, safety_levels, utility_levels = tables
    table = agreement_table(counts)
    for row in table.itertuples():
        regions = [expected_region(row, name, safety_levels, utility_levels) for name in counts.safety]
        held_by = Counter(element for region in regions for element in region)
        assert row.elements == sum(n >= row.n_sets for n in held_by.values())
        assert row.held == pytest.approx(sum(map(len, regions)) / 3)
        if row.stage == "raw":
            expected = 0.0
            for name, (height, width) in SHAPES.items():
                shares = [sum(element[0] == name for element in region) / (height * width) for region in regions]
                ways = product(*[((1, share), (0, 1 - share)) for share in shares])
                expected += (
                    height
                    * width
                    * sum(
                        math.prod(chance for _, chance in way)
                        for way in ways
                        if sum(one for one, _ in way) >= row.n_sets
                    )
                )
            assert row.floor_elements == pytest.approx(expected)
    last = nway_table(counts).query("n == 3 and order == 0")
    assert table.query("n_sets == 3")["elements"].tolist() == last["intersection"].tolist()
    assert table.query("n_sets == 1")["elements"].tolist() == last["union"].tolist()
    assert table.query("n_sets == 3")["floor_elements"].tolist() == pytest.approx(last["floor_intersection"].tolist())


def test_what_random_regions_share_stands_beside_what_real_ones_do(tables):
    """Raw: of each matrix the product of the shares that the regions hold, times its elements."""
    counts, safety_levels, _ = tables
    for row in nway_table(counts).query("stage == 'raw'").itertuples():
        regions = [members(safety_levels[counts.safety[i]], row.q) for i in counts.orders[row.order][: row.n]]
        expected = 0.0
        for name, (height, width) in SHAPES.items():
            shares = [sum(element[0] == name for element in region) / (height * width) for region in regions]
            expected += height * width * np.prod(shares)
        assert row.floor_intersection == pytest.approx(expected)


def controls(folder):
    """Counts for the tables of controls of three random sets, and their levels."""
    safety, levels = random_regions(folder, ["a", "b", "c"])
    return count(safety, safety, p=0.1, orders=[], removals=taken_out(list(safety), GRID)), levels


def test_level_table_equals_python_sets_at_every_two_fractions(tmp_path):
    counts, levels = controls(tmp_path)
    table = level_table(counts)
    assert len(table) == 3 * len(GRID) ** 2 and not table.duplicated(["a", "b", "q_a", "q_b"]).any()
    for row in table.itertuples():
        a, b = members(levels[row.a], row.q_a), members(levels[row.b], row.q_b)
        assert (row.size_a, row.size_b, row.intersection, row.union) == (len(a), len(b), len(a & b), len(a | b))
        assert row.iou == pytest.approx(len(a & b) / len(a | b))


def test_placebo_table_equals_python_sets_for_every_third_set(tmp_path):
    counts, levels = controls(tmp_path)
    table = placebo_table(counts)
    assert len(table) == 3 * len(GRID) ** 2 and not table.duplicated(["a", "b", "removed", "q", "p"]).any()
    for row in table.itertuples():
        assert {row.a, row.b, row.removed} == {"a", "b", "c"}
        a, b = (members(levels[name], row.q) - members(levels[row.removed], row.p) for name in (row.a, row.b))
        assert (row.size_a, row.size_b, row.intersection, row.union) == (len(a), len(b), len(a & b), len(a | b))
        assert row.iou == pytest.approx(len(a & b) / len(a | b) if a | b else np.nan, nan_ok=True)


def test_two_way_nway_equals_the_pair(tables):
    counts = tables[0]
    pairs = pair_table(counts, p=0.1).query("scope == 'all' and stage == 'raw'")
    by_pair = {(frozenset((r.a, r.b)), r.q): (r.iou, r.floor_iou) for r in pairs.itertuples()}
    for row in nway_table(counts).query("n == 2 and stage == 'raw'").itertuples():
        names = frozenset(counts.safety[i] for i in counts.orders[row.order][:2])
        assert (row.iou, row.floor_iou) == pytest.approx(by_pair[names, row.q])


def test_size_table_equals_python_sets(tables):
    counts, safety_levels, utility_levels = tables
    for row in size_table(counts, p=0.1).itertuples():
        matrix = [f"{row.layer}.{row.module}"]
        if row.role == "utility":
            assert row.size == len(removed(utility_levels, row.dataset, row.q, matrix))
        else:
            assert row.size == len(expected_region(row, row.dataset, safety_levels, utility_levels, matrix))


def test_floor_of_equal_densities_is_the_closed_form(tmp_path):
    """Exactly 10% of every matrix in each region: q/(2-q) for a pair, q^n/(1-(1-q)^n) for n."""
    paths = {}
    generator = np.random.default_rng(0)
    for name in "abcde":
        levels = {m: np.zeros(200, np.uint8) for m in ("0.q", "0.k")}
        for matrix in levels.values():
            matrix[generator.choice(200, 20, replace=False)] = 1
        paths[name] = tmp_path / name
        write_region(
            paths[name],
            ((m, x.reshape(10, 20)) for m, x in levels.items()),
            recipe_digest="0" * 64,
            cut=Cut((0.1,), "matrix"),
        )
    safety = {n: paths[n] for n in "abcd"}
    counts = count(safety, {"e": paths["e"]}, p=0.1, orders=[[0, 1, 2, 3]])
    q = 0.1
    pairs = pair_table(counts, p=0.1).query("stage == 'raw' and scope == 'all'")
    assert pairs.floor_iou.to_numpy() == pytest.approx(q / (2 - q))
    for row in nway_table(counts).query("stage == 'raw'").itertuples():
        assert row.floor_iou == pytest.approx(q**row.n / (1 - (1 - q) ** row.n))


def test_floor_is_the_mean_iou_of_random_regions(tmp_path):
    """Simulated: independent random regions, raw and refined, overlap as much as the floor says, within 3%."""
    shapes = {"0.q": (60, 80), "0.down": (50, 200)}
    safety, _ = random_regions(tmp_path, [f"s{i}" for i in range(6)], seed=3, shapes=shapes)
    utility, _ = random_regions(tmp_path, ["u"], seed=4, shapes=shapes)
    table = pair_table(count(safety, utility, p=0.1, orders=[list(range(6))]), p=0.1).query("scope == 'all'")
    means = table.groupby(["stage", "q"])[["iou", "floor_iou"]].mean()
    np.testing.assert_allclose(means.iou, means.floor_iou, rtol=0.03)


def test_empty_regions_have_no_iou(tmp_path):
    zeros = {"0.q": np.zeros((4, 8), np.uint8)}
    paths = {n: tmp_path / n for n in "abu"}
    for path in paths.values():
        write_region(path, zeros.items(), recipe_digest="0" * 64, cut=Cut((0.1,), "matrix"))
    table = pair_table(count({n: paths[n] for n in "ab"}, {"u": paths["u"]}, p=0.1, orders=[[0, 1]]), p=0.1)
    assert table.iou.isna().all() and table.overlap_coefficient.isna().all()
    assert (table["union"] == 0).all()


@pytest.mark.parametrize("change", [{"grid": (0.1, 0.2, 0.3)}, {"scope": "row"}])
def test_regions_that_cannot_be_compared_are_refused(tmp_path, change):
    paths, levels = random_regions(tmp_path, ["a", "b", "u"])
    cut = Cut(**{"grid": tuple(GRID), "scope": "matrix", **change})
    write_region(paths["b"], levels["b"].items(), recipe_digest="0" * 64, cut=cut)
    with pytest.raises(UserError, match=r"(?s)differs from that of .*a\.safetensors.*b\.safetensors"):
        count({"a": paths["a"], "b": paths["b"]}, {"u": paths["u"]}, p=0.1, orders=[[0, 1]])


@pytest.mark.parametrize(
    ("n_sets", "n_orders", "expected"), [(2, 20, 2), (3, 20, 6), (5, 20, 20), (7, 7, 7), (10, 3, 3)]
)
def test_orders_are_distinct_permutations(n_sets, n_orders, expected):
    orders = sample_orders(n_sets, n_orders, seed=0)
    assert len(orders) == len({tuple(o) for o in orders}) == expected
    assert all(sorted(o) == list(range(n_sets)) for o in orders)
    assert orders == sample_orders(n_sets, n_orders, seed=0)
    assert len({order[-1] for order in orders}) == min(n_sets, n_orders)


def layer_region(path, inside, n_layers):
    """A region of whole layers: the same at every fraction."""
    levels = ((f"{i}.layer", np.full((1, 1), len(GRID) * (i in inside), np.uint8)) for i in range(n_layers))
    write_region(path, levels, recipe_digest="0" * 64, cut=Cut(tuple(GRID), "matrix"), granularity="layer")
    return path


def test_floor_of_layer_ranges_is_that_of_all_their_places(tmp_path):
    """Every pair of places of a range of 3 and one of 5 among 7 layers, raw and without the layers 2 and 3."""
    ranges = {"a": range(0, 3), "b": range(2, 7), "u": range(2, 4)}
    paths = {name: layer_region(tmp_path / name, inside, 7) for name, inside in ranges.items()}
    counts = count({n: paths[n] for n in "ab"}, {"u": paths["u"]}, p=0.1, orders=[[0, 1]])
    placed = [(set(range(i, i + 3)), set(range(j, j + 5))) for i in range(5) for j in range(3)]
    for stage, gone in (("raw", set()), ("refined", {2, 3})):
        shared = np.mean([len((a & b) - gone) / len((a | b) - gone) for a, b in placed])
        for table in (pair_table(counts, p=0.1), nway_table(counts)):
            rows = table[(table["stage"] == stage) & (table["q"] == 0.1) & table["p"].isin([0.1, np.nan])]
            assert rows.floor_iou.to_numpy() == pytest.approx(shared)
    assert set(pair_table(counts, p=0.1).scope) == {"all"}


def test_an_empty_range_has_no_floor(tmp_path):
    paths = {
        name: layer_region(tmp_path / name, inside, 7) for name, inside in {"a": {1, 2}, "b": {}, "c": {2}}.items()
    }
    u = layer_region(tmp_path / "u", {}, 7)
    counts = count(paths, {"u": u}, p=0.1, orders=[[0, 2, 1]])
    pairs = pair_table(counts, p=0.1).query("stage == 'raw' and q == 0.1").set_index(["a", "b"])
    assert pairs["floor_iou"].isna().to_dict() == {("a", "b"): True, ("a", "c"): False, ("b", "c"): True}
    nway = nway_table(counts).query("stage == 'raw' and q == 0.1").set_index("n")
    assert nway["floor_iou"].isna().to_dict() == {2: False, 3: True}


def test_regions_of_another_granularity_are_refused(tmp_path):
    paths, levels = random_regions(tmp_path, ["a", "b", "u"])
    write_region(
        paths["b"], levels["b"].items(), recipe_digest="0" * 64, cut=Cut(tuple(GRID), "matrix"), granularity="neuron"
    )
    with pytest.raises(UserError, match="granularity differs"):
        count({"a": paths["a"], "b": paths["b"]}, {"u": paths["u"]}, p=0.1, orders=[[0, 1]])


def test_tables_and_figures_are_made_without_torch():
    """To import it takes longer than a table does."""
    code = """
import sys
from collections import Counter
from itertools import product
import safety_regions.steps.across, safety_regions.steps.overlap
print([m for m in ("torch", "transformers", "datasets", "scipy") if m in sys.modules])
import safety_regions.steps.draw_figures
print([m for m in ("torch", "transformers", "datasets", "scipy.stats", "scipy.cluster") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"


def test_another_seed_gives_other_orders_behind_the_listed_one():
    orders = [sample_orders(8, 6, seed) for seed in range(5)]
    assert all(of[0] == list(range(8)) for of in orders)
    others = {tuple(order) for of in orders for order in of[1:]}
    assert len(others) == 5 * 5


def test_the_table_of_growing_overlap_follows_the_seed_of_the_recipe(tmp_path):
    """And nothing else does: pairs and sizes know no order."""
    told = ("n_samples", "share_refused", "share_degenerate", "n_foreign", "n_cut", "n_empty", "mean_response_tokens")
    facts = dict.fromkeys((*told, "n_elements"), 1)
    names, inputs, digests = [*"abcdefu"], {}, {}
    for number, name in enumerate(names):
        of = {"kind": "region", "set": name}
        inputs[name], generator = tmp_path / f"{name}.safetensors", np.random.default_rng(number)
        levels = {m: generator.integers(0, len(GRID) + 1, shape, dtype=np.uint8) for m, shape in SHAPES.items()}
        write_region(
            inputs[name], levels.items(), recipe_digest=receipts.recipe_digest(of), cut=Cut(tuple(GRID), "matrix")
        )
        digests[name] = receipts.write(inputs[name], of, facts).digest
    made = {}
    for run, seed in (("first", 0), ("again", 0), ("other", 1)):
        sets = {"safety": [[n, digests[n]] for n in names[:-1]], "utility": [["u", digests["u"]]]}
        recipe = {
            "kind": "overlap",
            "version": VERSIONS["overlap"],
            **sets,
            "p": 0.1,
            "orders": {"n_orders": 4, "seed": seed},
        }
        overlap_step(
            Entry.parse(str(tmp_path / run), recipe, {n: str(path) for n, path in inputs.items()}, OverlapRecipe)
        )
        made[run] = {name: pd.read_parquet(tmp_path / run / f"{name}.parquet") for name in ("pairs", "nway", "sizes")}
    added = {
        run: [tuple(of) for _, of in tables["nway"].groupby(["stage", "q", "order"])["added"]]
        for run, tables in made.items()
    }
    assert added["first"] == added["again"] != added["other"]
    assert len(set(added["first"])) == 4
    for name in ("pairs", "sizes"):
        pd.testing.assert_frame_equal(made["first"][name], made["other"][name])
