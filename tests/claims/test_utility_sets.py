"""What single utility sets take away, and how alike the halves of single sets are, beside the means over sets."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from safety_regions.claims.estimates import measure
from safety_regions.claims.halves import COLUMNS, halves_rows
from safety_regions.claims.planted import PlantedWorld, Q, draw
from safety_regions.claims.utility_sets import utility_rows

WORLD = PlantedWorld(utility=0.5)


def test_each_utility_set_stands_beside_their_union():
    """Planted: `alike` is the set of the world, `nothing` takes out nothing; the union is what `alike` alone is."""
    tables = draw(WORLD, 5, 0)
    refined, raw = (tables.pairs[tables.pairs["stage"] == stage] for stage in ("refined", "raw"))
    nothing = [raw.assign(stage="refined", p=p, utility="nothing") for p in refined["p"].unique()]
    layers = refined.assign(scope="layer", iou=0.0)
    pairs = pd.concat([raw, refined.assign(utility="alike"), *nothing, refined, layers], ignore_index=True)
    found = utility_rows("m", "snip", pairs, tables.sets, Q, Q, 0.95).set_index("utility")
    assert list(found.index) == ["alike", "nothing", "union"]
    expected = measure(tables, 0.95)
    refinement, stages = expected.refinement, expected.stages
    for name in ("alike", "union"):
        row = found.loc[name]
        assert row["iou"] == pytest.approx(stages["refined"].iou.value)
        assert (row["iou_low"], row["iou_high"]) == pytest.approx(
            (stages["refined"].iou.low, stages["refined"].iou.high)
        )
        assert (row["drop"], row["taken"], row["floor"]) == pytest.approx(
            (refinement.drop.value, refinement.taken, stages["refined"].floor)
        )
    assert found.loc["nothing", ["drop", "drop_low", "drop_high", "taken"]].tolist() == [0, 0, 0, 0]
    assert found.loc["nothing", "iou"] == pytest.approx(stages["raw"].iou.value)


def test_halves_of_each_set_are_what_ceiling_and_between_are_means_of():
    tables = draw(WORLD, 4, 0)
    turned = tables.replicates.rename(columns={"a": "b", "b": "a", "variant_a": "variant_b", "variant_b": "variant_a"})
    found = halves_rows("m", "snip", tables)
    pd.testing.assert_frame_equal(found, halves_rows("m", "snip", replace(tables, replicates=turned)))
    stages = measure(tables, 0.95).stages
    for stage, rows in found[found["q"] == Q].groupby("stage"):
        own = rows["a"] == rows["b"]
        assert own.sum() == 4 and (~own).sum() == 6
        assert rows["iou"][own].mean() == pytest.approx(stages[stage].ceiling.value)
        assert rows["iou"][~own].mean() == pytest.approx(stages[stage].between.value)
        assert rows["n_pairs"][own].tolist() == [1] * 4 and rows["n_pairs"][~own].tolist() == [4] * 6
        assert set(rows["half_prompts"]) == {WORLD.n_prompts / 2}
    assert found["p"][found["stage"] == "raw"].isna().all() and len(found) > 0


def test_without_halves_there_is_no_row():
    tables = draw(WORLD, 4, 0)
    for replicates in (pd.DataFrame(), tables.replicates.assign(kind="seeds")):
        found = halves_rows("m", "snip", replace(tables, replicates=replicates))
        assert list(found.columns) == COLUMNS and found.empty


def test_halves_that_hold_nothing_have_no_iou():
    tables = draw(WORLD, 3, 0)
    empty = tables.replicates.assign(iou=np.nan)
    found = halves_rows("m", "snip", replace(tables, replicates=empty))
    assert found["iou"].isna().all() and (found["n_pairs"] == 0).all()
