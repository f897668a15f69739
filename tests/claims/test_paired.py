"""Differences of shares of the same prompts: published numbers, and how well intervals keep their word."""

import numpy as np
import pytest

from safety_regions.claims.paired import paired_difference, rank_p


def flags(b, c, both, neither):
    """Prompts with a flag in the first condition alone, in the second alone, in both, in neither."""
    first = np.repeat([True, False, True, False], [b, c, both, neither])
    return first, np.repeat([False, True, True, False], [b, c, both, neither])


def test_interval_as_published():
    """Fagerland, Lydersen and Laake 2014, airway hyper-responsiveness before and after: 1 and 7 of 21 alone."""
    found = paired_difference(*flags(1, 7, 1, 12), 0.95)
    assert found.value == pytest.approx(-6 / 21)
    assert (found.low, found.high) == pytest.approx((-0.508, -0.013), abs=5e-4)


def test_what_both_conditions_share_counts_for_nothing():
    a, b = (paired_difference(*flags(6, 2, both, 40 - both), 0.95) for both in (0, 40))
    assert a == b and str(a) == "+0.08 [-0.04, 0.20]"


@pytest.mark.parametrize("n", [16, 24, 48])
@pytest.mark.parametrize(("refused", "kept"), [(0.95, 1.0), (0.9, 0.3), (0.6, 0.5), (0.9, 0.9)])
def test_the_interval_covers_the_difference_as_often_as_it_says(n, refused, kept):
    """`kept`: the chance that a prompt which the second condition refuses is refused in the first, too."""
    random, covered, n_simulations = np.random.default_rng(n), 0, 1500
    for _ in range(n_simulations):
        second = random.random(n) < refused
        found = paired_difference(second & (random.random(n) < kept), second, 0.95)
        covered += found.low <= refused * kept - refused <= found.high
    assert covered / n_simulations > 0.93


def test_a_rank_among_draws_is_never_surer_than_their_number():
    assert rank_p(0, [1] * 19) == pytest.approx(0.05)
    assert rank_p(0, [1, 1]) == pytest.approx(1 / 3)
    assert rank_p(3, [3, 5, 1]) == pytest.approx(0.75)
    assert rank_p(3, []) == 1.0


@pytest.mark.parametrize(("n", "reach"), [(16, 0.154), (24, 0.107), (48, 0.055)])
def test_prompts_that_agree_leave_an_interval_as_wide_as_the_page_on_evaluation_says(n, reach):
    found = paired_difference(*flags(0, 0, n, 0), 0.95)
    assert (found.low, found.high) == pytest.approx((-reach, reach), abs=5e-4)
