"""Ceiling, place, drop and size-matched control: by hand, and on planted sets."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from safety_regions.claims.estimates import COLUMNS, Tables, estimate_rows, measure
from safety_regions.claims.jackknife import Estimate
from safety_regions.claims.planted import PlantedWorld, Q, draw
from safety_regions.claims.rows import at
from safety_regions.claims.rules import Evidence, beyond_noise, beyond_placebo
from safety_regions.claims.size_control import size_matched
from safety_regions.claims.verdict import FAILS, HOLDS, NOT_RUN, UNDECIDED
from safety_regions.config.claims import Claims

NOTHING = pd.DataFrame()
SETS = ["a", "b", "c"]
RAW = {"stage": "raw", "utility": "", "q": 0.1, "p": np.nan, "scope": "all", "unit": "all"}
REFINED = RAW | {"stage": "refined", "utility": "union", "p": 0.1}


def pairs_of(condition: dict, iou: list[float], size: int = 100, floor: float = 0.05) -> list[dict]:
    names = combinations(SETS, 2)
    values = {"size_a": size, "size_b": size, "floor_iou": floor}
    return [{**condition, **values, "a": a, "b": b, "iou": value} for (a, b), value in zip(names, iou, strict=True)]


def replicate(kind: str, a: str, b: str, variants: tuple[str, str], iou: float, condition: dict = RAW) -> dict:
    own = {"kind": kind, "a": a, "b": b, "variant_a": variants[0], "variant_b": variants[1], "iou": iou}
    known = {"floor_iou": 0.1, "shared_prompts": 0.25, "n_samples_a": 50, "n_samples_b": 49}
    return {**condition, **own, **known}


def by_hand() -> Tables:
    pairs = pairs_of(RAW, [0.4, 0.5, 0.6]) + pairs_of(REFINED, [0.2, 0.3, np.nan], size=50)
    pairs += pairs_of(RAW | {"q": 0.05}, [0.3, 0.3, 0.3], size=50)
    pairs += pairs_of(RAW | {"scope": "layer"}, [0.9, 0.9, 0.9])
    pairs += pairs_of(REFINED | {"utility": "sums"}, [0.9, 0.9, 0.9])
    halves = [
        replicate("halves", s, s, ("split0.0", "split0.1"), value)
        for s, value in zip(SETS, (0.7, 0.8, 0.9), strict=True)
    ]
    for a, b in combinations(SETS, 2):
        halves += [
            replicate("halves", a, b, (f"split0.{i}", f"split0.{j}"), 0.2 + 0.1 * i + 0.1 * j)
            for i in (0, 1)
            for j in (0, 1)
        ]
    seeds = [replicate("seeds", s, s, ("own", "seed1"), 0.85) for s in SETS]
    levels = [
        {"a": a, "b": b, "q_a": q_a, "q_b": q_b, "size_a": size_a, "size_b": size_b, "iou": 0.3}
        for a, b in combinations(SETS, 2)
        for q_a, size_a in ((0.05, 50), (0.1, 100))
        for q_b, size_b in ((0.05, 50), (0.1, 100))
    ]
    known = (pd.DataFrame(pairs), NOTHING, pd.DataFrame(halves + seeds), NOTHING, SETS, 0.1, 0.1)
    return Tables(*known, levels=pd.DataFrame(levels), placebo=pd.DataFrame(placebo_by_hand()))


def placebo_by_hand() -> list[dict]:
    """The third set takes out a quarter of each pair's 200 elements at the one fraction, three quarters at the other,
    and leaves an IoU of .4 and .1."""
    left = ((0.05, 75, 0.4), (0.1, 25, 0.1))
    return [
        {"q": 0.1, "p": p, "a": a, "b": b, "removed": third, "size_a": size, "size_b": size, "iou": iou}
        for a, b, third in (("a", "b", "c"), ("a", "c", "b"), ("b", "c", "a"))
        for p, size, iou in left
    ]


def test_every_estimate_by_hand():
    found = measure(by_hand(), 0.95)
    raw, refined = found.stages["raw"], found.stages["refined"]
    assert raw.iou.value == pytest.approx(0.5)
    assert raw.floor == pytest.approx(0.05)
    assert raw.above_floor.value == pytest.approx(0.45)
    assert raw.ceiling.value == pytest.approx(0.8)
    assert raw.between.value == pytest.approx(0.3)
    assert raw.apart.value == pytest.approx(0.5)
    assert raw.place.value == pytest.approx((0.3 - 0.1) / (0.8 - 0.1))
    assert raw.half_prompts == 49.5
    assert (raw.seeds, raw.seeds_shared_prompts) == pytest.approx((0.85, 0.25))
    assert refined.iou.value == pytest.approx(0.25)
    assert np.isnan([refined.place.value, refined.ceiling.value, refined.seeds]).all()
    assert found.refinement.difference.value == pytest.approx(-0.2)
    # The third pair has nothing left, so it counts on neither side.
    assert found.refinement.drop.value == pytest.approx(1 - 0.25 / 0.45)
    assert found.refinement.size_matched == pytest.approx(0.3)
    assert found.refinement.beyond_size.value == pytest.approx(-0.05)
    # Half is taken out, between a quarter (.4) and three quarters (.1).
    assert found.refinement.taken == pytest.approx(0.5)
    assert found.refinement.placebo.value == pytest.approx(0.25)
    assert found.refinement.placebo_drop == pytest.approx(1 - 0.25 / 0.5)
    assert found.refinement.beyond_placebo.value == pytest.approx((0.2 + 0.3 - 2 * 0.25) / 2)


def test_the_table_has_the_columns_of_the_report():
    rows = estimate_rows("m", "snip", by_hand(), measure(by_hand(), 0.95))
    assert list(rows.columns) == COLUMNS
    assert rows["stage"].tolist() == ["raw", "refined"]
    assert np.isnan(rows["p"][0])
    assert rows["p"][1] == 0.1
    assert np.isnan(rows["size_matched_iou"][0])
    assert rows["n_sets"].tolist() == [3, 3]


def test_the_table_has_every_estimate_with_its_interval_and_what_it_is_held_against():
    tables = draw(PlantedWorld(utility=0.5), 5, 0)
    seeds = tables.replicates[tables.replicates["a"] == tables.replicates["b"]].assign(kind="seeds", iou=0.9)
    tables = replace(tables, replicates=pd.concat([tables.replicates, seeds], ignore_index=True))
    measured = measure(tables, 0.95)
    raw = estimate_rows("m", "snip", tables, measured).set_index("stage").loc["raw"]
    stage = measured.stages["raw"]
    for name in ("iou", "between", "ceiling", "place", "unlimited"):
        estimate = getattr(stage, name)
        assert list(raw[[name, f"{name}_low", f"{name}_high"]]) == [estimate.value, estimate.low, estimate.high]
        assert estimate.low < estimate.value < estimate.high, name
    assert (raw["floor"], raw["seeds_iou"], raw["half_prompts"]) == (stage.floor, 0.9, stage.half_prompts)


def test_without_replicates_and_without_anything_all_is_undefined():
    alone = measure(replace(by_hand(), replicates=NOTHING), 0.95)
    assert np.isnan(
        [alone.stages["raw"].place.value, alone.stages["raw"].ceiling.value, alone.stages["raw"].seeds]
    ).all()
    assert alone.stages["raw"].iou.value == pytest.approx(0.5)
    none = measure(replace(by_hand(), pairs=by_hand().pairs[:0]), 0.95)
    assert np.isnan([none.stages["raw"].iou.value, none.refinement.drop.value, none.refinement.size_matched]).all()
    assert at(NOTHING, "raw", 0.1, 0.1).empty


def test_a_ceiling_at_the_floor_has_no_places():
    tables = by_hand()
    at_floor = tables.replicates.assign(iou=0.1)
    raw = measure(replace(tables, replicates=at_floor), 0.95).stages["raw"]
    assert np.isnan([raw.place.value, raw.unlimited.value]).all()


@pytest.mark.parametrize("seed", range(4))
def test_where_all_is_noise_there_is_no_place(seed):
    """A ratio of two numbers that are next to nothing can be anything: by itself it would be in the hundreds."""
    of = evidence(draw(PlantedWorld(noise=60.0), 5, seed))
    assert np.isnan([of.raw.place.value, of.raw.unlimited.value]).all()
    assert beyond_noise(of).decision == UNDECIDED


@pytest.mark.parametrize("common", [0.3, 0.6, 0.9])
def test_unlimited_prompts_give_the_planted_overlap_and_the_place_moves_with_their_number(common):
    """The sets stay as they are; only the noise of their prompts grows."""
    truth = measure(draw(PlantedWorld(common=common, spread=0.0, noise=0.0), 20, 0), 0.95).stages["raw"].iou.value
    found = {
        noise: [measure(draw(PlantedWorld(common=common, spread=0.0, noise=noise), 10, s), 0.95) for s in range(4)]
        for noise in (1.0, 4.0)
    }
    unlimited, place = (
        [np.mean([getattr(of.stages["raw"], name).value for of in found[noise]]) for noise in found]
        for name in ("unlimited", "place")
    )
    assert unlimited == pytest.approx([truth, truth], abs=0.04)
    assert place[1] > place[0] + 0.03


def evidence(tables: Tables) -> Evidence:
    return Evidence(tables, measure(tables, 0.95), Claims())


def curve(sizes: list[int], iou: list[float]) -> pd.DataFrame:
    """Raw pairs at every two sizes; of two different ones the IoU is 0."""
    of_one_size = dict(zip(sizes, iou, strict=True))
    rows = [("x", "y", a, b, of_one_size[a] if a == b else 0.0) for a, b in product(of_one_size, repeat=2)]
    return pd.DataFrame(rows, columns=["a", "b", "size_a", "size_b", "iou"])


def read(sizes: list[int], iou: list[float], size: float) -> float:
    refined = pd.DataFrame({"a": ["x"], "b": ["y"], "size_a": [size], "size_b": [size], "iou": [0.5]})
    return size_matched(curve(sizes, iou), refined)["iou"][0]


def test_sizes_between_fractions_are_read_off_over_the_logarithm():
    assert read([100, 10, 1000], [0.4, 0.2, 0.8], 100) == pytest.approx(0.4)
    assert read([100, 10, 1000], [0.4, 0.2, 0.8], np.sqrt(10 * 100)) == pytest.approx(0.3)
    values = [read([10, 100, 1000], [0.2, 0.4, 0.8], s) for s in np.geomspace(10, 1000, 30)]
    assert values == sorted(values)


def test_each_region_is_read_off_at_its_own_size():
    """Two nested regions share the smaller one: 10 of 100, whatever regions of their mean size share."""
    sizes = [10, 100, 1000]
    rows = [("x", "y", a, b, min(a, b) / max(a, b)) for a, b in product(sizes, repeat=2)]
    levels = pd.DataFrame(rows, columns=["a", "b", "size_a", "size_b", "iou"])
    refined = pd.DataFrame(
        {"a": ["x", "y", "x"], "b": ["y", "x", "y"], "size_a": [10, 100, 30], "size_b": [100, 10, 30]}
    )
    assert size_matched(levels, refined)["iou"].tolist() == pytest.approx([0.1, 0.1, 1.0])


@pytest.mark.parametrize(("sizes", "size"), [([10, 100], 9), ([10, 100], 101), ([10, 100], 0), ([], 10)])
def test_sizes_beyond_the_grid_are_undefined(sizes, size):
    assert np.isnan(read(sizes, [0.5] * len(sizes), size))


def test_layers_have_one_size_at_every_fraction():
    assert read([5, 5, 5], [0.4, 0.4, 0.4], 5) == pytest.approx(0.4)
    assert np.isnan(read([5, 5, 5], [0.4, 0.4, 0.4], 4))


def test_halves_of_one_set_are_as_alike_as_sets_that_are_all_the_same():
    """With nothing of their own, sets differ by prompts only: the place is 1; with all of their own, it is 0."""
    same = [measure(draw(PlantedWorld(common=1.0, spread=0.0), 6, s), 0.95).stages["raw"].place.value for s in range(4)]
    none = [measure(draw(PlantedWorld(common=0.0, spread=0.0), 6, s), 0.95).stages["raw"].place.value for s in range(4)]
    assert np.mean(same) == pytest.approx(1, abs=0.08)
    assert np.mean(none) == pytest.approx(0, abs=0.08)


def test_the_interval_of_the_place_covers_the_planted_one():
    world = PlantedWorld(spread=0.2)

    def place(n_sets: int, seed: int) -> Estimate:
        tables = draw(world, n_sets, seed)
        return measure(replace(tables, pairs=tables.pairs[:0]), 0.95).stages["raw"].place

    truth = np.mean([place(20, 10**6 + seed).value for seed in range(6)])
    found = [place(5, seed) for seed in range(20)]
    assert np.mean([f.low <= truth <= f.high for f in found]) >= 0.8
    assert np.mean([f.value for f in found]) == pytest.approx(truth, abs=0.06)


def test_refinement_with_what_all_sets_share_lowers_the_overlap_and_with_what_none_has_does_not():
    drops = {
        w: np.mean([measure(draw(PlantedWorld(utility=w), 5, s), 0.95).refinement.drop.value for s in range(3)])
        for w in (0.0, 0.9)
    }
    assert abs(drops[0.0]) < 0.06
    assert drops[0.9] > 0.3


def test_a_placebo_lowers_the_overlap_more_than_what_no_set_has_and_less_than_what_all_have():
    """Regions of the utility set: of nothing in common with the safety sets, and of nothing but what they share."""
    decisions = {}
    for utility in (0.0, 1.0):
        of = evidence(draw(PlantedWorld(spread=0.0, utility=utility, n_elements=4000), 8, 0))
        decisions[utility] = beyond_placebo(of).decision
    assert decisions == {0.0: FAILS, 1.0: HOLDS}


def test_of_two_sets_there_is_no_third_and_no_placebo():
    of = evidence(draw(PlantedWorld(), 2, 0))
    assert beyond_placebo(of).decision == NOT_RUN
    assert np.isnan(of.measured.refinement.placebo.value)


def test_planted_tables_have_the_analytic_floor():
    tables = draw(PlantedWorld(), 4, 0)
    raw = tables.pairs[(tables.pairs["stage"] == "raw") & (tables.pairs["q"] == Q)]
    assert raw["floor_iou"].to_numpy() == pytest.approx(Q / (2 - Q))
