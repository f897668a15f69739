"""Rank correlations over pairs that share sets: against pandas, every order written out, and under no relation."""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest

from safety_regions.claims.confounds import COLUMNS, MOST_EXACT, confound_rows, mantel, pair_covariates
from safety_regions.claims.planted import PlantedWorld, draw

REPEATED = (
    {"n_distinct_responses": 14, "repeated_responses": {"sorry": 16, "no": 2, "mine": 4}},
    {"n_distinct_responses": 12, "repeated_responses": {"sorry": 8, "no": 12}},
)
FACTS = {
    "a": {"mean_response_tokens": 10.0, "share_refused": 1.0, "n_samples": 32} | REPEATED[0],
    "b": {"mean_response_tokens": 14.0, "share_refused": 0.5, "n_samples": 32} | REPEATED[1],
    "c": {"mean_response_tokens": 20.0, "share_refused": None, "n_samples": 20},
}
OVERLAP = pd.DataFrame(
    [("a", "a", 32, 32, 0, 0.1, 0.1), ("a", "b", 32, 20, 5, 0.2, 0.4), ("a", "c", 32, 0, 0, 0.0, 0.0)],
    columns=["a", "b", "n_a", "n_b", "exact", "near_a", "near_b"],
)


def random_matrix(n: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).random((n, n))
    return values + values.T


def literal(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    pairs = list(combinations(range(len(a)), 2))

    def rho(order) -> float:
        x, y = [a[i, j] for i, j in pairs], [b[order[i], order[j]] for i, j in pairs]
        return pd.Series(x).rank().corr(pd.Series(y).rank())

    found = rho(range(len(a)))
    return found, np.mean([abs(rho(order)) >= abs(found) - 1e-9 for order in permutations(range(len(a)))])


@pytest.mark.parametrize("seed", range(3))
def test_few_sets_are_exact(seed):
    a, b = random_matrix(5, seed), random_matrix(5, seed + 10).round(1)
    rho, p_value, n_pairs = mantel(a, b)
    assert (rho, p_value) == pytest.approx(literal(a, b))
    assert n_pairs == 10


def test_a_relation_is_found_and_its_sign():
    a = random_matrix(8, 0)
    rho, p_value, n_pairs = mantel(a, -a)
    assert (rho, n_pairs) == (pytest.approx(-1), 28)
    assert p_value < 0.001
    assert mantel(a, -a)[1] == p_value


def test_sets_that_differ_in_themselves_are_no_relation():
    """Every set moves all its pairs: shuffling sets keeps to 5%, a test over pairs would find relations in noise."""
    random = np.random.default_rng(0)
    p_values = []
    for _ in range(150):
        x, y = random.standard_normal((2, MOST_EXACT - 1))
        p_values.append(mantel(x[:, None] + x, y[:, None] + y)[1])
    assert np.mean(np.array(p_values) <= 0.05) < 0.11


def test_what_is_undefined_stays_empty():
    a = random_matrix(5, 0)
    assert np.isnan(mantel(a, np.ones((5, 5)))[:2]).all()
    assert np.isnan(mantel(a[:2, :2], a[:2, :2])[:2]).all()
    assert mantel(np.full((4, 4), np.nan), a[:4, :4])[2] == 0
    holed = a.copy()
    holed[0, 1:] = holed[1:, 0] = np.nan
    assert mantel(holed, random_matrix(5, 1)) == mantel(a[1:, 1:], random_matrix(5, 1)[1:, 1:])


def test_covariates_of_a_pair():
    found = pair_covariates(["a", "b", "c"], OVERLAP, FACTS)
    assert found["shared prompts"][0, 1] == pytest.approx(5 / 20)
    assert found["near-duplicate prompts"][1, 0] == pytest.approx(0.3)
    assert np.isnan(found["shared prompts"][0, 2])
    assert found["response length, difference"][0, 2] == 10
    assert found["response length, mean"][1, 2] == 17
    assert found["share refused, difference"][0, 1] == 0.5
    assert np.isnan(found["share refused, mean"][0, 2])
    assert found["prompts, difference"][1, 2] == 12
    assert found["distinct responses, mean"][0, 1] == 13
    assert np.isnan(found["shared responses"]).sum() == 5 and np.isnan(found["shared responses"][2]).all()
    assert found["shared responses"][0, 1] == found["shared responses"][1, 0] == pytest.approx(0.25 + 2 / 32)


def test_sets_with_one_refusal_for_all_prompts_share_it():
    """Planted: the IoU of a pair goes with the refusal that both give, and with nothing else that is counted."""
    counts = [82, 75, 60, 40, 20, 2]
    facts = {
        f"s{i}": {"n_samples": 100, "n_distinct_responses": 101 - n, "repeated_responses": {"no": n, f"own{i}": 2}}
        for i, n in enumerate(counts)
    }
    shared = pair_covariates(list(facts), pd.DataFrame(), facts)["shared responses"]
    assert shared[0, 1] == 0.75 and shared[4, 5] == 0.02
    iou = 0.3 + 0.5 * shared + 0.001 * random_matrix(len(counts), 0)
    rho, p_value, n_pairs = mantel(iou, shared)
    assert rho > 0.95 and p_value < 0.02 and n_pairs == 15


def test_the_table_names_every_covariate_at_both_stages():
    tables = draw(PlantedWorld(), 4, 0)
    facts = {name: {"mean_response_tokens": float(i), "n_samples": 32} for i, name in enumerate(tables.sets)}
    table = confound_rows("m", "snip", tables, pd.DataFrame(), facts)
    assert list(table.columns) == COLUMNS
    assert table.groupby("stage").size().to_dict() == {"raw": 9, "refined": 9}
    by = table.set_index(["stage", "covariate"])
    assert by.loc[("raw", "response length, difference"), "n_pairs"] == 6
    assert not np.isnan(by.loc[("raw", "response length, difference"), "rho"])
    assert np.isnan(by.loc[("raw", "prompts, mean"), "rho"])
    assert np.isnan(by.loc[("raw", "share refused, mean"), "rho"])


def test_three_sets_are_the_fewest_that_have_a_correlation():
    a, b = random_matrix(3, 0), random_matrix(3, 1)
    rho, p_value, n_pairs = mantel(a, b)
    assert (rho, p_value) == pytest.approx(literal(a, b))
    assert n_pairs == 3


@pytest.mark.parametrize("n", [MOST_EXACT, MOST_EXACT + 1])
def test_p_values_are_shares_of_the_orders_tried(n):
    """All of them for few sets; for more, the order found is one of those counted, so that none is zero."""
    a = random_matrix(n, 0)
    tried = len(list(permutations(range(n)))) if n <= MOST_EXACT else 5000
    share = mantel(a, a)[1] * tried
    assert share == pytest.approx(round(share)) and share >= 1


def test_equal_values_up_to_rounding_are_ties():
    a = random_matrix(5, 0)
    b = a.copy()
    b[0, 1] = b[1, 0] = b[0, 2] + 1e-14
    exact = b.copy()
    exact[0, 1] = exact[1, 0] = exact[0, 2]
    assert mantel(a, b) == mantel(a, exact)


def test_sets_with_most_holes_are_left_out_first():
    a = random_matrix(6, 0)
    for i, j in ((0, 1), (0, 2), (0, 3), (4, 5)):
        a[i, j] = a[j, i] = np.nan
    assert mantel(a, random_matrix(6, 1))[2] == 6
