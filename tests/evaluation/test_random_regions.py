"""Random controls: as large as the region in every matrix, outside what is forbidden, uniform over the rest."""

import numpy as np
import pytest
from random_masks import header_for, packed, random_masks

from safety_regions.evaluation.ablate import random_like
from safety_regions.regions.masks import unpack

SHAPES = {"0.q": (7, 9), "0.down": (5, 30), "1.q": (7, 9)}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_random_controls_have_the_region_s_sizes_and_avoid_what_is_forbidden(share):
    utility = random_masks(SHAPES, 0.4, seed=1)
    region = {name: mask & ~utility[name] for name, mask in random_masks(SHAPES, share).items()}
    drawn = []
    for seed in range(3):
        control = random_like(packed(region), header_for("weight", SHAPES), packed(utility), f"{seed}/a/refined")
        masks = {name: unpack(control(name), shape) for name, shape in SHAPES.items()}
        assert {n: int(m.sum()) for n, m in masks.items()} == {n: int(m.sum()) for n, m in region.items()}
        assert not any((masks[name] & utility[name]).any() for name in SHAPES)
        drawn.append(tuple(masks[name].tobytes() for name in SHAPES))
    assert len(set(drawn)) == (1 if share == 0 else 3)
    again = random_like(packed(region), header_for("weight", SHAPES), packed(utility), "0/a/refined")
    backward = {name: unpack(again(name), SHAPES[name]).tobytes() for name in reversed(SHAPES)}
    assert drawn[0] == tuple(backward[name] for name in SHAPES)


def test_random_controls_are_uniform_over_what_is_open():
    shapes, region = {"0.q": (2, 5)}, {"0.q": np.arange(10).reshape(2, 5) < 2}
    utility = {"0.q": np.arange(10).reshape(2, 5) >= 8}
    held = sum(
        unpack(random_like(packed(region), header_for("neuron", shapes), packed(utility), str(seed))("0.q"), (2, 5))
        for seed in range(200)
    )
    assert held.reshape(-1)[8:].tolist() == [0, 0]
    np.testing.assert_allclose(held.reshape(-1)[:8] / 200, 2 / 8, atol=0.1)


def layers_of(control, n):
    return [i for i in range(n) if control(f"{i}.layer").any()]


def as_layers(chosen, n):
    return packed({f"{i}.layer": np.array([[i in chosen]]) for i in range(n)})


@pytest.mark.parametrize(
    ("region", "forbidden", "possible"),
    [
        ({1, 2}, set(), [[0, 1], [2, 3], [3, 4]]),
        ({0, 1, 2, 3, 4}, set(), [[0, 1, 2, 3, 4]]),
        ({1, 2}, {0}, [[2, 3], [3, 4]]),
        ({1, 2}, {0, 3, 4}, [[1, 2]]),
        ({0, 2}, {1, 4}, [[2, 3]]),
        ({0, 4}, {2}, [[0, 1], [3, 4]]),
        ({0, 2, 4}, {1, 3}, [[0, 2, 4]]),
        (set(), {1}, [[]]),
    ],
)
def test_random_layers_are_another_range_of_the_same_length(region, forbidden, possible):
    header = header_for("layer", {f"{i}.layer": (1, 1) for i in range(5)})
    real, closed = as_layers(region, 5), as_layers(forbidden, 5) if forbidden else None
    found = {tuple(layers_of(random_like(real, header, closed, str(seed)), 5)) for seed in range(40)}
    assert found == {tuple(layers) for layers in possible}


@pytest.mark.parametrize(
    ("region", "forbidden", "possible"),
    [
        ({0, 1}, set(), [[0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]),
        ({0, 3}, {1}, [[0, 2], [2, 3]]),
        ({0, 2}, {1, 3}, [[0, 2]]),
        ({0, 1, 2, 3}, set(), [[0, 1, 2, 3]]),
        (set(), {1}, [[]]),
    ],
)
def test_random_free_layers_are_any_others_of_the_same_number(region, forbidden, possible):
    header = header_for("layer", {f"{i}.layer": (1, 1) for i in range(4)}, "free")
    real, closed = as_layers(region, 4), as_layers(forbidden, 4) if forbidden else None
    found = {tuple(layers_of(random_like(real, header, closed, str(seed)), 4)) for seed in range(60)}
    assert found == {tuple(layers) for layers in possible}


def test_random_controls_of_equal_matrices_have_nothing_to_do_with_each_other():
    """One draw for every name, seed and key: in all 36 pairs of draws about as many are shared as chance has it."""
    shapes = {f"{layer}.q": (40, 50) for layer in range(3)}
    region = packed({name: np.arange(2000).reshape(40, 50) < 200 for name in shapes})
    keys = ["0/a/raw", "1/a/raw", "0/b/raw"]
    header = header_for("weight", shapes)
    drawn = [unpack(random_like(region, header, None, key)(name), (40, 50)) for key in keys for name in shapes]
    shared = [int((a & b).sum()) for i, a in enumerate(drawn) for b in drawn[:i]]
    assert len(shared) == 36
    assert max(shared) < 50 and np.mean(shared) == pytest.approx(20, abs=4)


def test_random_layers_follow_the_key():
    header = header_for("layer", {f"{i}.layer": (1, 1) for i in range(20)})
    real = as_layers({0}, 20)
    found = [
        layers_of(random_like(real, header, None, key), 20)
        for key in ("0/a/raw", "0/a/raw", "1/a/raw", "0/b/raw", "0/a/refined")
    ]
    assert found[0] == found[1] and len({tuple(of) for of in found}) > 2
