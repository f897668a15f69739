"""The first elements of a region, as many as are asked for, from masks that are stored at a few fractions."""

from collections.abc import Callable, Sequence
from functools import lru_cache, reduce

import numpy as np

from safety_regions.regions.format import Header, Region, Words, at_least, pack
from safety_regions.regions.masks import Masks, unpack
from safety_regions.regions.random_regions import count_of, generator_of

Nest = Callable[[str], Sequence[Words]]
"""Name of a matrix -> its packed masks at every fraction of the grid, each within the next."""


def nest_of(regions: Sequence[Region], forbidden: Masks | None = None) -> Nest:
    """The masks of the union of regions at every fraction, without the elements `forbidden`."""
    levels = range(len(regions[0].header.grid), 0, -1)

    def masks_of(own: str) -> list[Words]:
        planes = [region.planes(own) for region in regions]
        masks = [reduce(np.bitwise_or, [at_least(of, level) for of in planes]) for level in levels]
        return masks if forbidden is None else [mask & ~forbidden(own) for mask in masks]

    return lru_cache(maxsize=1)(masks_of)


def first_elements(nest: Nest, header: Header, n: int, key: str) -> Masks | None:
    """The n elements that come first: the largest masks with no more, and random ones of the next larger masks. None
    if there is not a single element.

    These are drawn in proportion to what each matrix has of them. Fewer than n where the largest masks have fewer;
    ranges of layers are taken whole. The same key gives the same elements on every machine.
    """
    counts = np.array([[0, *map(count_of, nest(own))] for own in header.shapes])
    totals = counts.sum(axis=0)
    if totals[-1] == 0:
        return None
    if header.region_shape == "range":
        return lambda own: nest(own)[-1]
    step = int(np.searchsorted(totals, n, side="right")) - 1
    if step == len(totals) - 1:
        return lambda own: nest(own)[-1]
    ring = counts[:, step + 1] - counts[:, step]
    # By running sums, so that the parts add up to all that is missing.
    until = np.cumsum(ring) * (n - int(totals[step])) // int(ring.sum())
    parts = dict(zip(header.shapes, np.diff(until, prepend=0).tolist(), strict=True))

    def draw(own: str) -> Words:
        masks, shape = nest(own), header.shapes[own]
        whole = masks[step - 1] if step else np.zeros_like(masks[0])
        inside = unpack(whole, shape).reshape(-1).copy()
        places = np.flatnonzero(unpack(masks[step] & ~whole, shape))
        inside[generator_of(f"{key}/{own}").choice(places, parts[own], replace=False, shuffle=False)] = True
        return pack(inside)

    return lru_cache(maxsize=1)(draw)
