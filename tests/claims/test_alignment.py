"""Regions before and after alignment on planted scores, where it is known how far alignment changes them."""

import numpy as np
import pandas as pd
import pytest

from safety_regions.claims.alignment import COLUMNS, Aligned, alignment_rows
from safety_regions.claims.halves import COLUMNS as HALVES_COLUMNS
from safety_regions.claims.latent import iou_of_correlation

Q, N, SETS = 0.05, 20_000, [f"set{i}" for i in range(6)]
FLOOR = Q / (2 - Q)
RELIABILITY = 0.8


def world(kept: float, seed: int = 0) -> Aligned:
    """Scores of a set that alignment leaves correlated by `kept`, and of its halves, which correlate by `RELIABILITY`
    in one model.
    """
    random = np.random.default_rng(seed)
    pairs, halves = [], {"before": [], "after": []}
    for name in SETS:
        before = random.standard_normal(N)
        after = kept * before + np.sqrt(1 - kept**2) * random.standard_normal(N)
        own = [top(of) for of in (before, after)]
        half = [[top(noisy(of, random)) for _ in range(2)] for of in (before, after)]
        pairs.append(pair(name, "own", "own", *own))
        pairs += [pair(name, f"split0.{i}", f"split0.{j}", half[0][i], half[1][j]) for i in (0, 1) for j in (0, 1)]
        for side, of in zip(halves, half, strict=True):
            halves[side].append({"a": name, "b": name, "iou": iou(*of)})
            halves[side].append({"a": name, "b": "other", "iou": 0.0})
    about = {"stage": "raw", "q": Q, "p": np.nan, "floor": FLOOR, "half_prompts": 24.0}
    tables = {side: pd.DataFrame(rows).assign(**about).reindex(columns=HALVES_COLUMNS) for side, rows in halves.items()}
    return Aligned("new", "old", "snip", pd.DataFrame(pairs), tables, {"before": 0.0, "after": 0.9})


def noisy(scores, random):
    return np.sqrt(RELIABILITY) * scores + np.sqrt(1 - RELIABILITY) * random.standard_normal(N)


def top(scores):
    return scores > np.quantile(scores, 1 - Q)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def pair(name, before, after, a, b, harmless=False):
    variants = {"variant_before": before, "variant_after": after}
    about = {"set": name, "harmless": harmless, **variants, "stage": "raw", "q": Q, "p": np.nan}
    return about | {"iou": iou(a, b), "floor_iou": FLOOR}


def row_of(of: Aligned) -> pd.Series:
    table = alignment_rows(of, SETS, 0.95)
    assert [*table.columns] == COLUMNS and len(table) == 1
    return table.iloc[0]


def test_where_alignment_changes_nothing_halves_are_as_alike_across_it_as_in_one_model():
    row = row_of(world(kept=1.0))
    assert row["iou"] == 1 and row["apart_low"] < 0 < row["apart_high"]
    assert row["place_low"] < 1 < row["place_high"] and row["unlimited"] > 0.9
    assert row["crossed"] == pytest.approx(float(iou_of_correlation(RELIABILITY, Q)), abs=0.02)
    assert (row["model"], row["base"], row["method"], row["half_prompts"], row["n_sets"]) == (
        "new",
        "old",
        "snip",
        24,
        6,
    )
    assert (row["refused_before"], row["refused_after"]) == (0.0, 0.9)


def test_where_alignment_makes_other_regions_they_are_apart_and_at_chance():
    row = row_of(world(kept=0.0))
    assert row["apart_low"] > 0.25 and row["place"] == pytest.approx(0, abs=0.03)
    assert row["crossed"] == pytest.approx(FLOOR, abs=0.01) and row["crossed_floor"] == FLOOR
    assert row["ceiling_before"] > 0.3 < row["ceiling_after"]


def test_unlimited_is_what_the_regions_share_without_noise():
    rows = [row_of(world(kept=0.9, seed=seed)) for seed in range(3)]
    true = np.mean([row["iou"] for row in rows])
    found = np.mean([row["unlimited"] for row in rows])
    assert found == pytest.approx(true, abs=0.03)
    assert np.mean([row["crossed"] for row in rows]) < true - 0.1


def test_halves_that_share_their_prompts_are_no_part_of_crossed():
    of = world(kept=0.5)
    same = of.pairs["variant_before"].eq(of.pairs["variant_after"]) & of.pairs["variant_before"].ne("own")
    changed = of.pairs.assign(iou=of.pairs["iou"].mask(same, 0.0))
    pd.testing.assert_series_equal(row_of(of), row_of(Aligned(**vars(of) | {"pairs": changed})))


def test_fixed_responses_and_utility_sets_stand_beside():
    of, some = world(kept=0.5), np.arange(N) < 100
    more = [
        pair("set0", "template0", "template0", some, some),
        pair("set0", "template1", "template1", some, ~some),
        pair("useful", "own", "own", some, some, harmless=True),
        pair("useful", "template0", "template0", some, ~some, harmless=True),
    ]
    row = row_of(Aligned(**vars(of) | {"pairs": pd.concat([of.pairs, pd.DataFrame(more)])}))
    assert (row["fixed"], row["harmless"]) == (0.5, 1.0)
    beside = ["fixed", "harmless"]
    pd.testing.assert_series_equal(row.drop(beside), row_of(of).drop(beside))
    assert row_of(of)[beside].isna().all()


def test_without_halves_the_iou_stands_alone():
    of = world(kept=0.5)
    own = of.pairs[of.pairs["variant_before"] == "own"]
    empty = dict.fromkeys(("before", "after"), pd.DataFrame(columns=HALVES_COLUMNS))
    row = row_of(Aligned(**vars(of) | {"pairs": own, "halves": empty}))
    assert row["iou_low"] < row["iou"] < row["iou_high"]
    assert row[["crossed", "ceiling_before", "apart", "place", "unlimited", "half_prompts"]].isna().all()


def test_where_halves_are_no_better_than_chance_there_is_no_place():
    of = world(kept=1.0)
    halves = dict(of.halves, after=of.halves["after"].assign(iou=FLOOR))
    row = row_of(Aligned(**vars(of) | {"halves": halves}))
    assert row[["place", "unlimited"]].isna().all() and np.isfinite(row["apart"])
