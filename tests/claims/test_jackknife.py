"""Intervals that leave out one set at a time: against closed forms, slow literal formulas, and a planted truth."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from safety_regions.claims.jackknife import jackknife, mean, pair_means, ratio, set_means, square
from safety_regions.claims.planted import PlantedWorld, compare, scores, top

SETS = ["a", "b", "c", "d"]
NO_REMOVAL = np.zeros((1, 1000), bool)


def symmetric(values: list[float], n: int) -> np.ndarray:
    matrix = np.full((n, n), np.nan)
    for (i, j), value in zip(combinations(range(n), 2), values, strict=False):
        matrix[i, j] = matrix[j, i] = value
    return matrix


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_of_a_mean_over_sets_it_is_the_t_interval(values):
    matrix = np.diag(np.array(values))
    found = jackknife(set_means(matrix), 0.9)
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    reach = stats.t.ppf(0.95, len(values) - 1) * error
    assert found.value == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx((np.mean(values) - reach, np.mean(values) + reach), abs=1e-9)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=10, max_size=10), st.permutations(range(5)))
def test_of_a_mean_over_pairs_it_is_the_literal_formula_in_any_order(values, order):
    matrix = symmetric(values, 5)
    pairs = dict(zip(combinations(range(5), 2), values, strict=True))
    without = [np.mean([v for pair, v in pairs.items() if i not in pair]) for i in range(5)]
    variance = 4 / 5 * sum((s - np.mean(without)) ** 2 for s in without)
    reach = stats.t.ppf(0.975, 4) * np.sqrt(variance)
    for of in (matrix, matrix[np.ix_(order, order)]):
        found = jackknife(pair_means(of))
        assert (found.value, found.high) == pytest.approx((np.mean(values), np.mean(values) + reach), abs=1e-9)


def test_it_needs_three_sets_for_pairs_and_stays_within_bounds():
    two = jackknife(pair_means(symmetric([0.5], 2)))
    assert two.value == 0.5
    assert np.isnan([two.low, two.high]).all()
    wide = jackknife(pair_means(symmetric([0.0, 0.1, 1.0], 3)), bounds=(0.0, 1.0))
    assert (wide.low, wide.high) == (0, 1)
    assert np.isnan(jackknife(np.full(6, np.nan)).value)
    assert np.isnan(jackknife(np.ones(2)).low)


def test_pairs_become_a_symmetric_matrix_of_means():
    rows = [("a", "b", 0.2), ("b", "a", 0.4), ("a", "c", 0.5), ("c", "c", 0.9), ("d", "a", np.nan), ("a", "other", 1.0)]
    found = square(pd.DataFrame(rows, columns=["a", "b", "iou"]), "iou", SETS)
    expected = np.full((4, 4), np.nan)
    expected[0, 1] = expected[1, 0] = 0.3
    expected[0, 2] = expected[2, 0] = 0.5
    expected[2, 2] = 0.9
    np.testing.assert_allclose(found, expected)
    assert pair_means(found)[0] == pytest.approx(0.4)
    assert set_means(found)[0] == pytest.approx(0.9)
    assert pair_means(found)[1:] == pytest.approx([np.nan, 0.5, 0.3, 0.4], nan_ok=True)
    assert set_means(found)[1:] == pytest.approx([0.9, 0.9, np.nan, 0.9], nan_ok=True)


def test_an_empty_table_gives_nothing():
    found = square(pd.DataFrame({"a": [], "b": [], "iou": []}), "iou", SETS)
    assert np.isnan(found).all()
    assert np.isnan(mean(np.array([np.nan])))


def test_the_mean_is_that_of_what_is_defined():
    assert mean(np.array([0.5, np.nan, 1.0])) == 0.75
    assert np.isnan(ratio(np.array([1.0, np.nan, 1.0]), np.array([0.0, 1.0, np.nan]))).all()


def iou_matrix(world: PlantedWorld, n_sets: int, seed: int) -> np.ndarray:
    values, _, _ = scores(world, n_sets, seed)
    return symmetric(compare(top(values, 0.1), NO_REMOVAL)["iou"].tolist(), n_sets)


def test_it_covers_a_planted_truth_and_a_t_test_over_pairs_does_not():
    """200 times five sets: the interval must cover in about 95% of them; pairs taken for independent give far less."""
    world, n_sets, n = PlantedWorld(spread=0.3), 5, 200
    truth = np.mean([pair_means(iou_matrix(world, 120, 10**6 + i))[0] for i in range(6)])
    covered, naive, found = [], [], []
    for seed in range(n):
        matrix = iou_matrix(world, n_sets, seed)
        estimate = jackknife(pair_means(matrix))
        pairs = matrix[np.triu_indices(n_sets, k=1)]
        reach = stats.t.ppf(0.975, len(pairs) - 1) * pairs.std(ddof=1) / np.sqrt(len(pairs))
        covered.append(estimate.low <= truth <= estimate.high)
        naive.append(abs(pairs.mean() - truth) <= reach)
        found.append(estimate.value)
    # Three standard errors of a share of 200 at 95% are 4.6 points.
    assert np.mean(covered) > 0.9
    assert np.mean(naive) < 0.8
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / np.sqrt(n) + 0.002)
