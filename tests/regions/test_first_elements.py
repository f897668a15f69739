"""As many first elements of a region as are asked for, though only masks at a few fractions are known."""

import numpy as np
import pytest
from random_masks import header_for

from safety_regions.regions.first_elements import first_elements, nest_of
from safety_regions.regions.format import open_region, pack, write_region
from safety_regions.regions.masks import unpack
from safety_regions.regions.select import Cut

SHAPES = {"0.q": (20, 30), "1.q": (7, 9), "2.q": (5, 5)}


@pytest.fixture
def ranks():
    """The place of every element among those of its matrix."""
    random = np.random.default_rng(0)
    return {name: random.permutation(rows * columns).reshape(rows, columns) for name, (rows, columns) in SHAPES.items()}


def nest(ranks, fractions=(0.05, 0.2, 0.5)):
    return lambda own: [pack(ranks[own] < round(f * ranks[own].size)) for f in fractions]


def total(fraction):
    return sum(round(fraction * rows * columns) for rows, columns in SHAPES.values())


@pytest.mark.parametrize("n", [0, 1, 10, total(0.05), 60, total(0.2), 300, total(0.5)])
def test_there_are_as_many_as_asked_for_and_the_first_are_among_them(ranks, n):
    found = first_elements(nest(ranks), header_for("weight", SHAPES), n, "key")
    masks = {name: unpack(found(name), shape) for name, shape in SHAPES.items()}
    assert sum(int(mask.sum()) for mask in masks.values()) == n
    for fraction in (0.05, 0.2, 0.5):
        inside = {name: of < round(fraction * of.size) for name, of in ranks.items()}
        if total(fraction) <= n:
            assert all((masks[name] | ~inside[name]).all() for name in SHAPES)
        else:
            assert not any((masks[name] & ~inside[name]).any() for name in SHAPES)
            break
    if 0 < n < total(0.5):
        shares = [masks[name].mean() for name in ("0.q", "1.q")]
        assert shares[0] == pytest.approx(shares[1], abs=0.05)


def test_all_are_given_where_there_are_fewer(ranks):
    found = first_elements(nest(ranks), header_for("weight", SHAPES), 10**6, "key")
    assert all(
        (unpack(found(name), shape) == (ranks[name] < round(0.5 * ranks[name].size))).all()
        for name, shape in SHAPES.items()
    )


def test_a_range_of_layers_is_taken_whole():
    shapes = {f"{i}.layer": (1, 1) for i in range(4)}
    masks = lambda own: [pack(np.array([own in ("1.layer", "2.layer")]))] * 3  # noqa: E731
    found = first_elements(masks, header_for("layer", shapes), 1, "key")
    assert [name for name in shapes if found(name).any()] == ["1.layer", "2.layer"]


def test_masks_of_several_regions_are_united_at_every_fraction(tmp_path):
    random = np.random.default_rng(1)
    levels = [{name: random.integers(0, 4, shape, np.uint8) for name, shape in SHAPES.items()} for _ in range(2)]
    for i, of in enumerate(levels):
        write_region(tmp_path / f"{i}", of.items(), recipe_digest="0" * 64, cut=Cut((0.1, 0.2, 0.3), "matrix"))
    closed = {name: random.random(shape) < 0.3 for name, shape in SHAPES.items()}
    with open_region(tmp_path / "0") as a, open_region(tmp_path / "1") as b:
        found = nest_of([a, b], lambda own: pack(closed[own]))
        for name, shape in SHAPES.items():
            for level, words in zip((3, 2, 1), found(name), strict=True):
                expected = ((levels[0][name] >= level) | (levels[1][name] >= level)) & ~closed[name]
                assert (unpack(words, shape) == expected).all()


def test_of_an_empty_region_there_are_no_first_elements(ranks):
    nothing = lambda own: [pack(np.zeros(SHAPES[own], bool))] * 3  # noqa: E731
    assert first_elements(nothing, header_for("weight", SHAPES), 5, "key") is None
