"""Elements in some of several regions, against counting."""

import pytest
from random_masks import packed, random_masks

from safety_regions.regions.masks import in_at_least, union, unpack, without

SHAPES = {"0.q": (7, 9), "0.down": (5, 30)}


@pytest.mark.parametrize("n_parts", [1, 2, 5])
def test_elements_of_at_least_so_many_parts_are_those_that_are_counted_so_often(n_parts):
    parts = [random_masks(SHAPES, 0.5, seed) for seed in range(n_parts)]
    for n in range(1, n_parts + 1):
        found = in_at_least([packed(part) for part in parts], n)
        for name, shape in SHAPES.items():
            counted = sum(part[name].astype(int) for part in parts)
            assert (unpack(found(name), shape) == (counted >= n)).all()
            # Some in exactly n, or a wrong bound would not be seen.
            assert (counted == n).any()


def test_parts_united_and_refined_are_sets_of_elements():
    one, other = random_masks(SHAPES, 0.4, 1), random_masks(SHAPES, 0.4, 2)
    both, rest = union([packed(one), packed(other)]), without(packed(one), packed(other))
    for name, shape in SHAPES.items():
        assert (unpack(both(name), shape) == (one[name] | other[name])).all()
        assert (unpack(rest(name), shape) == (one[name] & ~other[name])).all()
