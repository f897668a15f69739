"""What matrices tell without a set, and at other fractions, is what tables without its rows, and at those, tell."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from safety_regions.claims.estimates import Tables, estimates, measure
from safety_regions.claims.placebo import Placebo
from safety_regions.claims.planted import GRID, PlantedWorld, draw

TABLES = ("pairs", "replicates", "levels", "placebo")


@pytest.fixture(scope="module")
def tables() -> Tables:
    drawn = draw(PlantedWorld(utility=0.3, noise=0.6), 4, 0)
    seeds = drawn.replicates[drawn.replicates["a"].eq(drawn.replicates["b"])].assign(kind="seeds", shared_prompts=0.5)
    return replace(drawn, replicates=pd.concat([drawn.replicates, seeds], ignore_index=True))


def told(tables: Tables) -> str:
    """All estimates as text, so that NaN is NaN."""
    of = measure(tables, 0.95)
    return repr((of.stages, of.refinement))


def test_without_a_set_nothing_is_told_of_it(tables: Tables):
    for number, name in enumerate(tables.sets):
        fewer = {}
        for key in TABLES:
            table = getattr(tables, key)
            members = [column for column in ("a", "b", "removed") if column in table]
            fewer[key] = table[table[members].ne(name).all(axis=1)]
        expected = told(replace(tables, **fewer, sets=[of for of in tables.sets if of != name]))
        left = estimates(tables.grid.own.without(number), 0.95)
        assert repr((left.stages, left.refinement)) == told(tables.without(name)) == expected


def test_at_another_fraction_are_the_estimates_of_tables_with_it(tables: Tables):
    raw = tables.pairs[tables.pairs["stage"].eq("raw")]
    refined = tables.pairs[tables.pairs["stage"].eq("refined")]
    other = refined.assign(p=GRID[0], iou=refined["iou"] / 2)
    at_both = replace(tables, pairs=pd.concat([raw, refined, other], ignore_index=True))
    assert at_both.grid.all_p == sorted({GRID[0], tables.p})
    found = estimates(at_both.grid.at_p(GRID[0]), 0.95)
    assert repr((found.stages, found.refinement)) == told(replace(at_both, p=GRID[0])) != told(at_both)
    elsewhere = pd.concat([of.assign(q=2 * tables.q, iou=of["iou"] / 4) for of in (raw, refined)], ignore_index=True)
    at_both = replace(tables, pairs=pd.concat([tables.pairs, elsewhere], ignore_index=True))
    found = estimates(at_both.grid.at_q(2 * tables.q), 0.95)
    assert repr((found.stages, found.refinement)) == told(replace(at_both, q=2 * tables.q)) != told(at_both)


def test_a_placebo_is_read_off_between_fractions():
    """As `np.interp` does, of each pair and third set alone; undefined is what takes less at every fraction, and what
    leaves nothing."""
    random, p = np.random.default_rng(0), np.array([0.1, 0.2, 0.3, 0.4])
    raw, size = np.full((3, 3), 0.5), np.full((3, 3), 100.0)
    amount = np.full((3, 3), 0.3)
    amount[0, 2] = amount[2, 0] = 0.9
    rows, expected = [], np.full((3, 3, 3), np.nan)
    for a, b, c in ((1, 0, 2), (0, 2, 1), (1, 2, 0)):
        left, iou = np.array([90.0, 80.0, 65.0, 60.0]), random.uniform(size=4)
        iou[1] = np.nan
        if (a, b) == (1, 2):
            iou[:] = np.nan
        known = ~np.isnan(iou)
        for fraction, of_left, of_iou in zip(p, left, iou, strict=True):
            rows.append((0.1, fraction, "xyz"[a], "xyz"[b], "xyz"[c], of_left / 2, of_left / 2, of_iou))
        if known.any():
            shares, values = np.append(0, 1 - left[known] / 100), np.append(0.5, iou[known])
            expected[a, b, c] = expected[b, a, c] = np.interp(amount[a, b], shares, values, right=np.nan)
    table = pd.DataFrame(rows, columns=["q", "p", "a", "b", "removed", "size_a", "size_b", "iou"])
    found = Placebo(table, ["x", "y", "z"]).ious(0.1, raw, size, amount)
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(found).sum() == 2
    assert np.isnan(Placebo(table, ["x", "y", "z"]).ious(0.2, raw, size, amount)).all()
