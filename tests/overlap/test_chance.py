"""The chance floor against every random region there is, for both shapes, at sizes where all can be listed; and how far
the floor of free elements is from the mean IoU at sizes that models have.
"""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from safety_regions.overlap.chance import (
    chances,
    expected_growth,
    expected_in_any,
    expected_iou,
    expected_pair,
    placed,
)

Elements = set[tuple[int, int]]
"""(matrix, place in it)."""


def free_regions(n_open: list[int], held: list[int]) -> list[Elements]:
    """Every region with so many elements of each matrix."""
    sizes = zip(n_open, held, strict=True)
    of_each = [[{(m, i) for i in of} for of in combinations(range(n), k)] for m, (n, k) in enumerate(sizes)]
    return [set().union(*parts) for parts in product(*of_each)]


def free_layers(n_open: list[int], n_held: int) -> list[Elements]:
    """Every region of so many of the open layers."""
    open_layers = [(layer, 0) for layer, n in enumerate(n_open) if n]
    return [set(of) for of in combinations(open_layers, n_held)]


def ranges(n_open: list[int], length: int) -> list[Elements]:
    """Every range of the length, without the layers that are not open."""
    starts = range(len(n_open) - length + 1)
    return [{(layer, 0) for layer in range(s, s + length) if n_open[layer]} for s in starts]


def mean(values: list[int]) -> float:
    return sum(values) / len(values)


def check(drawn: list[list[Elements]], n_open: list[int], found: np.ndarray) -> None:
    """Expected numbers of shared elements, and of those in any, equal the means over all regions of all sets."""
    together = list(product(*drawn))
    in_all = [mean([len(set.intersection(*of[: n + 1])) for of in together]) for n in range(len(drawn))]
    in_any = [mean([len(set.union(*of[: n + 1])) for of in together]) for n in range(len(drawn))]
    weights = np.array(n_open)
    by_chance = expected_growth(weights, found)
    assert by_chance[0] == pytest.approx(in_all)
    assert by_chance[1] == pytest.approx(in_any)
    assert expected_in_any(weights, found) == pytest.approx(in_any)
    both, either = expected_pair(weights, found[:, :1], found[:, 1:2])
    assert (both.sum(), either.sum()) == pytest.approx((in_all[1], in_any[1]))


SETS = 3


@settings(max_examples=40, deadline=None)
@given(st.data(), st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_free_elements_of_matrices(data, n_open):
    held = np.array([[data.draw(st.integers(0, n)) for _ in range(SETS)] for n in n_open])
    found = chances("neuron", "free", held=held, raw=held, n_open=np.array(n_open))
    check([free_regions(n_open, held[:, i].tolist()) for i in range(SETS)], n_open, found)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.lists(st.integers(0, 1), min_size=1, max_size=5))
def test_free_layers_are_elements_of_the_model(data, n_open):
    held = np.array([[data.draw(st.integers(0, n)) for _ in range(SETS)] for n in n_open])
    found = chances("layer", "free", held=held, raw=held, n_open=np.array(n_open))
    check([free_layers(n_open, int(held[:, i].sum())) for i in range(SETS)], n_open, found)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.lists(st.integers(0, 1), min_size=1, max_size=6))
def test_ranges_keep_the_length_that_they_had_before_refinement(data, n_open):
    lengths = [data.draw(st.integers(0, len(n_open))) for _ in range(SETS)]
    raw = np.array([[int(layer < length) for length in lengths] for layer in range(len(n_open))])
    held = raw * np.array(n_open)[:, None]
    found = chances("layer", "range", held=held, raw=raw, n_open=np.array(n_open))
    check([ranges(n_open, length) for length in lengths], n_open, found)


def test_two_of_four_free_layers_share_a_third():
    """Half of each layer, 4 x 1/4 shared of 4 x 3/4."""
    held = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    found = chances("layer", "free", held=held, raw=held, n_open=np.ones(4, int))
    both, either = expected_pair(np.ones(4, int), found[:, :1], found[:, 1:])
    assert both.sum() / either.sum() == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("n_open", "n_held", "too_low"),
    [(576 * 576, 16589, 7.4e-7), (1536, 77, 1.6e-4), (576, 29, 4.3e-4), (30, 3, 9.5e-3)],
)
def test_the_floor_of_free_elements_is_just_below_their_mean_iou(n_open, n_held, too_low):
    """At 5% of a matrix of SmolLM2 135M's weights, or its neurons of a kind in a layer; last, three free layers."""
    shared = np.arange(n_held + 1)
    mean_iou = (hypergeom(n_open, n_held, n_held).pmf(shared) * shared / (2 * n_held - shared)).sum()
    held = np.full((1, 2), n_held)
    found = chances("neuron", "free", held=held, raw=held, n_open=np.array([n_open]))
    both, either = expected_pair(np.array([n_open]), found[:, :1], found[:, 1:])
    assert mean_iou - both.sum() / either.sum() == pytest.approx(too_low, rel=0.02)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.lists(st.integers(0, 2), min_size=1, max_size=3), st.integers(1, 3))
def test_a_range_beside_free_elements_has_the_mean_over_its_places(data, n_free, length):
    """Layers of one matrix each: the range holds all that is open of its layers, free elements their share."""
    n_layers = max(len(n_free), length)
    n_free = np.array([*n_free, *[1] * (n_layers - len(n_free))])
    held = np.array([data.draw(st.integers(0, n)) for n in n_free])
    ones = np.ones(n_layers, int)
    a = placed("layer", "range", held=ones, raw=(np.arange(n_layers) < length).astype(int), n_open=ones)
    b = placed("weight", "free", held=held, raw=held, n_open=n_free)
    found = expected_iou(a, b, both=n_free, open_a=n_free, open_b=n_free)
    ious = []
    for start in range(n_layers - length + 1):
        inside = held[start : start + length].sum()
        union = n_free[start : start + length].sum() + held.sum() - inside
        ious += [inside / union] if union else []
    assert found == pytest.approx(mean(ious) if ious else np.nan, nan_ok=True)
