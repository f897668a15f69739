"""The size of a random region that damages a model as much as a real one."""

import math

import pytest

from safety_regions.evaluation.same_damage import MOST_ASKED, same_damage


def asked(target, curve, largest=64.0, intact=10.0):
    factors = []

    def perplexity(factor):
        factors.append(factor)
        return curve(factor)

    found = same_damage(target, intact, perplexity, largest)
    assert len(factors) == len(set(factors)) <= MOST_ASKED
    return found, factors


@pytest.mark.parametrize("truth", [0.1, 0.7, 1.0, 1.5, 3.0, 11.0, 30.0])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_factor_of_a_steady_growth_is_found(truth, power):
    curve = lambda factor: 10 * math.exp(0.3 * factor**power)  # noqa: E731
    found, _ = asked(curve(truth), curve)
    assert abs(math.log(curve(found) / curve(truth))) <= max(0.03, 0.25 * math.log(curve(truth) / 10))


def test_a_target_out_of_reach_takes_all_there_is():
    found, factors = asked(1e6, lambda factor: 10 + factor, largest=12.0)
    assert found == 12.0 and max(factors) == 12.0


def test_a_region_without_damage_takes_next_to_nothing():
    found, _ = asked(10.0, lambda factor: 10 + factor)
    assert found <= 0.125


def test_what_is_already_as_damaging_is_asked_once():
    assert asked(12.0, lambda factor: 12.0) == (1.0, [1.0])


@pytest.mark.parametrize("broken", [math.inf, math.nan])
def test_a_model_that_breaks_is_too_much_damage(broken):
    found, _ = asked(14.0, lambda factor: 10 + factor if factor < 5 else broken)
    assert 3 < found < 5
    assert asked(14.0, lambda factor: broken)[0] > 0


def test_noise_does_not_keep_it_from_an_end():
    noisy = lambda factor: 10 + factor * (1.2 if int(100 * factor) % 2 else 0.8)  # noqa: E731
    found, _ = asked(15.0, noisy)
    assert 2 < found < 12
