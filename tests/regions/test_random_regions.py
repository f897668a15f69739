"""Random controls: as large as the region in every matrix, outside what is forbidden, uniform over the rest."""

from itertools import pairwise

import numpy as np
import pytest
from random_masks import header_for, packed, random_masks

from safety_regions.regions.masks import unpack
from safety_regions.regions.random_regions import (
    grown,
    largest_factor,
    random_as_large,
    random_like,
)

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


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_random_controls_as_large_have_the_region_s_sizes_in_every_matrix(share):
    shapes = {"0.q": (40, 50), "1.q": (30, 30)}
    random = np.random.default_rng(0)
    sizes = {name: np.abs(random.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    utility = random_masks(shapes, 0.2, seed=1)
    # The largest, as methods that score |weight| have them.
    region = {name: (of > np.quantile(of, 1 - share)) & ~utility[name] for name, of in sizes.items()}
    header = header_for("weight", shapes)
    control = random_as_large(packed(region), header, packed(utility), sizes.__getitem__, "0/a")
    for name, shape in shapes.items():
        mask = unpack(control(name), shape)
        assert mask.sum() == region[name].sum() and not (mask & utility[name]).any()
        for of in (np.mean, np.max) if mask.any() else ():
            assert of(sizes[name][mask]) == pytest.approx(of(sizes[name][region[name]]), rel=0.13)
    again = random_as_large(packed(region), header, packed(utility), sizes.__getitem__, "0/a")
    assert all((again(name) == control(name)).all() for name in reversed(shapes))


def test_random_controls_as_large_keep_away_from_the_region_where_there_is_room():
    shapes = {"0.q": (10, 100)}
    region = {"0.q": np.arange(1000).reshape(10, 100) < 300}
    alike = {"0.q": np.ones((10, 100), np.float32)}
    header = header_for("weight", shapes)
    control = random_as_large(packed(region), header, None, alike.__getitem__, "0/a")
    assert not (unpack(control("0.q"), (10, 100)) & region["0.q"]).any()
    unlike = {"0.q": np.where(region["0.q"], np.float32(2), np.float32(1))}
    control = random_as_large(packed(region), header, None, unlike.__getitem__, "0/a")
    assert (unpack(control("0.q"), (10, 100)) == region["0.q"]).all()


def test_a_random_control_as_large_is_the_same_on_every_machine():
    """Where other elements are too few for it, some of the region's own are drawn."""
    shapes, at = {"0.q": (5, 40)}, np.arange(200).reshape(5, 40)
    alike = {"0.q": (1.0 + at % 3).astype(np.float32)}
    control = random_as_large(packed({"0.q": at < 120}), header_for("weight", shapes), None, alike.__getitem__, "0/a")
    drawn = np.packbits(unpack(control("0.q"), (5, 40))).tobytes().hex()
    assert drawn == "0ea43d0018254e1848622338516440ffffffffffffffffffff"


def test_random_regions_that_grow_are_each_within_the_next():
    shapes = {"0.q": (60, 50), "1.q": (10, 10), "2.q": (9, 9)}
    utility = random_masks(shapes, 0.3, seed=1)
    region = {name: mask & ~utility[name] for name, mask in random_masks(shapes, 0.1).items()} | {
        "2.q": np.zeros((9, 9), bool)
    }
    header = header_for("weight", shapes)
    at = grown(packed(region), header, packed(utility), "0/a")
    most = largest_factor(packed(region), header, packed(utility))
    held = {factor: {n: unpack(at(factor)(n), s) for n, s in shapes.items()} for factor in (0.5, 1.0, 2.0, 4.0, most)}
    for smaller, larger in pairwise(held.values()):
        assert all((larger[name] | ~smaller[name]).all() for name in shapes)
    for factor, masks in held.items():
        assert not any((masks[name] & utility[name]).any() for name in shapes)
        if factor < most:
            assert masks["0.q"].sum() == pytest.approx(factor * region["0.q"].sum(), rel=0.3)
    assert all((held[most][name] == ~utility[name]).all() for name in ("0.q", "1.q"))
    assert not held[most]["2.q"].any()
