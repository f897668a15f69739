"""Which set moves an estimate most: one odd set among sets that are alike is named by what raw regions share."""

from dataclasses import replace

import numpy as np
import pytest

from safety_regions.claims.estimates import Tables, measure
from safety_regions.claims.influence import COLUMNS, influence_rows
from safety_regions.claims.jackknife import moved_most
from safety_regions.claims.planted import PlantedWorld, draw


@pytest.fixture(scope="module")
def odd() -> Tables:
    """Planted: all pairs with `set3` share half of what the others do."""
    tables = draw(PlantedWorld(utility=0.5, spread=0.0), 5, 0)
    halved = {}
    for name in ("pairs", "replicates"):
        table = getattr(tables, name)
        with_it = (table["a"] == "set3") ^ (table["b"] == "set3")
        halved[name] = table.assign(iou=table["iou"].where(~with_it, table["iou"] / 2))
    return replace(tables, **halved)


def test_an_odd_set_is_named_with_what_the_estimate_is_without_it(odd):
    found = influence_rows("m", "snip", odd, measure(odd, 0.95)).set_index(["stage", "estimate"])
    fewer = measure(odd.without("set3"), 0.95).stages["raw"]
    for name in ("iou", "between", "place", "unlimited"):
        row = found.loc[("raw", name)]
        assert row["moved_by"] == "set3" and row["without"] == pytest.approx(getattr(fewer, name).value)
    changes = {"difference", "drop", "beyond_size", "placebo", "beyond_placebo"}
    assert set(found.loc["refined"].index) >= changes | {"iou"}
    drop = found.loc[("refined", "drop")]
    assert drop["without"] == pytest.approx(measure(odd.without(drop["moved_by"]), 0.95).refinement.drop.value)


def test_of_two_sets_none_can_be_left_out(odd):
    two = replace(odd, sets=odd.sets[:2])
    found = influence_rows("m", "snip", two, measure(two, 0.95))
    assert list(found.columns) == COLUMNS
    row = found.set_index(["stage", "estimate"]).loc[("raw", "iou")]
    assert row["moved_by"] == "" and np.isnan(row["without"])


def test_the_first_of_equals_moves_most_and_what_is_undefined_moves_nothing():
    assert moved_most(0.5, {"nan": np.nan, "a": 0.25, "b": 0.75, "c": 0.5}) == "a"
    assert moved_most(0.5, {"a": np.nan}) is None and moved_most(np.nan, {"a": 0.5}) is None
