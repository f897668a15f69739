"""The gap between states against a literal transcription, and its test on planted states: noise, and a real gap."""

import math
from itertools import combinations, product

import numpy as np
import pytest

from safety_regions.methods.angle_gap import measure_gap
from safety_regions.methods.layer_range import onset_and_smoothing

N_LAYERS, HIDDEN = 8, 12


def angle(a, b):
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return math.acos(dot / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b)))


def literal_gap(normal, own):
    """Mean angle over all pairs across, less that over all pairs of distinct normal prompts."""
    gaps = []
    for layer in range(normal.shape[1]):
        n, m = normal[:, layer].tolist(), own[:, layer].tolist()
        across = [angle(a, b) for a, b in product(n, m)]
        within = [angle(a, b) for a, b in combinations(n, 2)]
        gaps.append(sum(across) / len(across) - sum(within) / len(within))
    return gaps


def literal_test(normal, own, n_permutations, seed):
    """Null curve and p-value from each labelling's own literal gaps."""
    states, n = np.concatenate([normal, own]), len(normal)
    labels = np.tile(np.arange(len(states)) < n, (n_permutations, 1))
    labels = np.random.Generator(np.random.PCG64(seed)).permuted(labels, axis=1)
    gaps = np.array([literal_gap(states[of], states[~of]) for of in labels])
    spread = np.sqrt((gaps**2).mean(axis=0))
    largest, observed = (gaps / spread).max(axis=1), max(np.array(literal_gap(normal, own)) / spread)
    rank = math.ceil(0.95 * (n_permutations + 1))
    return sorted(largest)[rank - 1] * spread, (1 + sum(largest >= observed)) / (n_permutations + 1)


def states(generator, n, shift=0.0):
    """States of prompts of one kind: a common direction, and more of the prompts' own from layer to layer, in which
    layers are alike. From layer 4 on those of another kind are shifted.
    """
    own = np.cumsum(generator.standard_normal((n, N_LAYERS, HIDDEN)), axis=1) * 0.3
    common = np.full(HIDDEN, 1.0)
    away = np.zeros((N_LAYERS, HIDDEN))
    away[4:, 0] = shift
    return (common + own + away).astype(np.float32)


def test_gap_and_test_are_those_of_the_definition():
    generator = np.random.default_rng(0)
    normal, own = states(generator, 5), states(generator, 4, 0.5)
    found = measure_gap(normal, own, 199, 7)
    assert found.gap == pytest.approx(literal_gap(normal, own), abs=1e-9)
    null, p_value = literal_test(normal, own, 199, 7)
    assert found.null == pytest.approx(null, abs=1e-9) and found.p_value == pytest.approx(p_value)


def test_the_gap_knows_no_seed():
    generator = np.random.default_rng(1)
    normal, own = states(generator, 20), states(generator, 20, 1.0)
    first, other = (measure_gap(normal, own, 199, seed) for seed in (0, 1))
    assert first.gap.tolist() == other.gap.tolist() and first.null.tolist() != other.null.tolist()


@pytest.fixture(scope="module")
def splits():
    """Two random halves of one harmless set of 64 prompts, 300 times."""
    generator = np.random.default_rng(2)
    found = []
    for _ in range(300):
        prompts = states(generator, 64)
        found.append(measure_gap(prompts[:32], prompts[32:], 199, 0))
    return found


def test_halves_of_one_set_have_a_gap_in_five_of_a_hundred_splits(splits):
    with_gap = np.mean([onset_and_smoothing(of.gap, of.null) is not None for of in splits])
    assert 0.02 < with_gap < 0.085
    assert np.mean([of.p_value <= 0.05 for of in splits]) == pytest.approx(with_gap)


def test_a_fixed_threshold_of_half_a_degree_lies_below_the_noise(splits):
    """What the null is for: curves of no difference rise by more than .01 rad in most of the splits."""
    rises = [(of.gap - np.minimum.accumulate(np.append(0, of.gap))[1:]).max() for of in splits]
    assert np.mean(np.array(rises) > 0.01) > 0.5


def test_a_planted_gap_is_found_where_it_begins():
    generator = np.random.default_rng(3)
    onsets = []
    for seed in range(20):
        found = measure_gap(states(generator, 32), states(generator, 32, 10.0), 199, seed)
        assert found.p_value == 1 / 200
        onsets.append(onset_and_smoothing(found.gap, found.null)[0])
    assert onsets.count(4) >= 18


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_states_have_no_gap(value):
    same = np.full((6, 3, 4), value, np.float32)
    found = measure_gap(same, same, 199, 0)
    assert onset_and_smoothing(found.gap, found.null) is None
