"""The IoU between sets by the number of prompts: which rows it is made of, and its intervals."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from safety_regions.claims.jackknife import jackknife, pair_means, square
from safety_regions.claims.prompt_numbers import ALL, COLUMNS, FIRST, HALVES, Numbered, prompt_number_rows

SETS, Q, P = ["a", "b", "c", "d"], 0.05, 0.1
SIZES = {4: 0.3, 12: 0.4}


def pairs(kind: str, label: str, iou: float, seed: int) -> pd.DataFrame:
    """Every pair of sets at two fractions, raw and refined: the wanted ones at Q vary around `iou`."""
    random = np.random.default_rng(seed)
    rows = [
        {"kind": kind, "a": a, "b": b, "variant_a": label, "variant_b": label, "stage": stage, "q": q, "p": p}
        | {"iou": (iou + random.uniform(-0.1, 0.1)) / (1 + refined), "floor_iou": 0.03 / (1 + refined)}
        | {"wrong": q != Q}
        for a, b in combinations(SETS, 2)
        for refined, (stage, p) in enumerate((("raw", np.nan), ("refined", P)))
        for q in (0.01, Q)
    ]
    table = pd.DataFrame(rows)
    return table.assign(iou=table["iou"].mask(table["wrong"], 0.9)).drop(columns="wrong")


REPLICATES = pd.concat(
    [pairs("sizes", f"first{n}", iou, n) for n, iou in SIZES.items()] + [pairs("halves", "split0.0", 0.8, 0)]
)


def estimates(**changes: float) -> pd.DataFrame:
    row = {"model": "m", "method": "snip", "q": Q, "half_prompts": 8.0, "n_sets": 4, "floor": 0.02}
    for name, value in {"iou": 0.5, "between": 0.35, "unlimited": 0.6}.items():
        row |= {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}
    stages = [{"stage": "raw", "p": np.nan}, {"stage": "refined", "p": P}]
    return pd.DataFrame([row | stage | changes for stage in stages])


def test_numbers_ascend_and_each_says_which_prompts_it_is_of():
    table = prompt_number_rows(Numbered(estimates(), REPLICATES, SETS, 16), 0.95)
    assert [*table.columns] == COLUMNS
    expected = [(4, FIRST), (8, HALVES), (12, FIRST), (16, ALL)]
    for stage in ("raw", "refined"):
        of = table[table["stage"] == stage]
        assert [*zip(of["n_prompts"], of["prompts"], strict=True)] == expected
        assert set(of["unlimited"]) == {0.6} and set(of["n_sets"]) == {4}
        assert of["iou"].iloc[[1, 3]].tolist() == [0.35, 0.5] and of["floor"].iloc[[1, 3]].tolist() == [0.02] * 2
    assert table["p"].isna().eq(table["stage"] == "raw").all()


def test_an_iou_of_the_first_prompts_is_a_mean_over_pairs_with_the_interval_of_all():
    table = prompt_number_rows(Numbered(estimates(), REPLICATES, SETS, 16), 0.95)
    for (n, iou), (stage, divided) in [(size, of) for size in SIZES.items() for of in (("raw", 1), ("refined", 2))]:
        (row,) = table[table["n_prompts"].eq(n) & table["stage"].eq(stage)].to_dict("records")
        own = REPLICATES[
            REPLICATES["variant_a"].eq(f"first{n}") & REPLICATES["q"].eq(Q) & REPLICATES["stage"].eq(stage)
        ]
        found = jackknife(pair_means(square(own, "iou", SETS)), 0.95, (0.0, 1.0))
        assert (row["iou"], row["iou_low"], row["iou_high"]) == (found.value, found.low, found.high)
        assert row["iou"] == pytest.approx(iou / divided, abs=0.1) and row["floor"] == pytest.approx(0.03 / divided)


def test_without_halves_there_is_no_row_of_them():
    table = prompt_number_rows(Numbered(estimates(between=np.nan), REPLICATES, SETS, 16), 0.95)
    assert {*table["prompts"]} == {FIRST, ALL}


def test_without_regions_of_fewer_prompts_there_is_no_row():
    halves = REPLICATES[REPLICATES["kind"] == "halves"]
    for replicates in (pd.DataFrame(), halves):
        table = prompt_number_rows(Numbered(estimates(), replicates, SETS, 16), 0.95)
        assert table.empty and [*table.columns] == COLUMNS
