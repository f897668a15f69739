"""The mean IoU of random ranges against every combination of their places."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety_regions.overlap.chance import expected_iou as expected_iou_of_places
from safety_regions.overlap.chance import placed
from safety_regions.overlap.ranges import covered, expected_iou, placements

LAYERS = st.lists(st.integers(0, 1), min_size=1, max_size=7)


def literal(n_open, lengths):
    """Every range at every place, without the layers that are not open; places of an empty union are left out."""
    ious = []
    for starts in product(*[range(len(n_open) - length + 1) for length in lengths]):
        ranges = [
            {layer for layer in range(start, start + length) if n_open[layer]}
            for start, length in zip(starts, lengths, strict=True)
        ]
        union = set.union(*ranges)
        ious += [len(set.intersection(*ranges)) / len(union)] if union else []
    return sum(ious) / len(ious) if ious else float("nan")


@settings(deadline=None)
@given(st.data(), LAYERS, st.integers(1, 4))
def test_it_is_the_mean_over_all_places(data, n_open, n):
    lengths = [data.draw(st.integers(1, len(n_open))) for _ in range(n)]
    assert expected_iou(np.array(n_open), np.array(lengths)) == pytest.approx(
        literal(n_open, lengths), nan_ok=True, abs=1e-12
    )


@settings(deadline=None)
@given(st.data(), LAYERS)
def test_two_ranges_have_the_mean_that_their_listed_places_have(data, n_open):
    """Both ways of the package give it."""
    n_open = np.array(n_open)
    lengths = np.array([data.draw(st.integers(1, len(n_open))) for _ in range(2)])
    raw = [(np.arange(len(n_open)) < length).astype(int) for length in lengths]
    a, b = (placed("layer", "range", held=of * n_open, raw=of, n_open=n_open) for of in raw)
    listed = expected_iou_of_places(a, b, both=n_open, open_a=n_open, open_b=n_open)
    assert expected_iou(n_open, lengths) == pytest.approx(listed, nan_ok=True, abs=1e-12)


def test_short_ranges_share_more_than_their_expected_sizes_say():
    """Three of thirty layers: .083, where expected intersection over expected union is .055."""
    assert expected_iou(np.ones(30, int), np.array([3, 3])) == pytest.approx(0.0834, abs=5e-5)
    by_layer = covered(30, 3)
    assert (by_layer**2).sum() / (1 - (1 - by_layer) ** 2).sum() == pytest.approx(0.0547, abs=5e-5)


def test_ranges_of_a_large_model_agree_with_a_sample_of_their_places():
    generator = np.random.default_rng(0)
    n_open, lengths = (generator.random(80) < 0.7).astype(int), generator.integers(20, 70, 6)
    starts = generator.integers(0, 80 - lengths + 1, (20_000, len(lengths)))
    first, behind = starts.max(axis=1), (starts + lengths).min(axis=1)
    before = np.concatenate([[0], np.cumsum(n_open)])
    shared = before[np.maximum(first, behind)] - before[first]
    # Ranges as long as these leave hardly a layer between them out; those that share none do not count.
    union = before[(starts + lengths).max(axis=1)] - before[starts.min(axis=1)]
    assert expected_iou(n_open, lengths) == pytest.approx((shared / union).mean(), abs=0.003)


@pytest.mark.parametrize("lengths", [[0, 3], [3, 0], [0, 0], [2, 2, 0]])
def test_an_empty_range_has_none(lengths):
    assert np.isnan(expected_iou(np.ones(5, int), np.array(lengths)))


def test_without_an_open_layer_there_is_none():
    assert np.isnan(expected_iou(np.zeros(3, int), np.array([1, 2])))


def test_ranges_of_one_place_are_equal():
    assert expected_iou(np.array([1, 1, 0, 1]), np.array([4, 4, 4])) == pytest.approx(1)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_a_range_covers_its_length_on_average(sizes):
    n_layers, length = sizes
    chances = covered(n_layers, length)
    assert chances.sum() == pytest.approx(length)
    assert ((chances >= 0) & (chances <= 1)).all()
    assert len(placements(n_layers, length)) == (n_layers - length + 1 if length else 0)
