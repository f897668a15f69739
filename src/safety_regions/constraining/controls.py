"""What is frozen or put back in place of a region: as many elements of another kind.

The same key gives the same elements on every machine. Random ones without more to them are those of
`safety_regions.evaluation.ablate.random_like`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, UInt8

from safety_regions.regions.format import Header, Region, Words, pack, read_levels
from safety_regions.regions.masks import Masks, unpack

Magnitudes = Callable[[str], Float32[np.ndarray, "rows columns"]]
"""Name of a matrix of weights -> how large each of them is, from 0 on."""
EIGHTHS = 20
"""Bits of a float32 that are left out to tell magnitudes up to an eighth of a power of two."""


def random_as_large(masks: Masks, header: Header, forbidden: Masks | None, magnitudes: Magnitudes, key: str) -> Masks:
    """As many random weights of every matrix as the masks have, with none of those `forbidden`, as large as these up to
    an eighth of a power of two.

    Of each size it takes weights outside the masks as long as there are any.
    """

    def draw(own: str) -> Words:
        region = unpack(masks(own), header.shapes[own]).reshape(-1)
        outside = ~region if forbidden is None else ~(region | unpack(forbidden(own), header.shapes[own]).reshape(-1))
        sizes = np.ascontiguousarray(magnitudes(own), np.float32).reshape(-1).view(np.uint32) >> EIGHTHS
        generator, drawn = _generator(f"{key}/{own}"), np.zeros(region.size, bool)
        for size, n in zip(*np.unique(sizes[region], return_counts=True), strict=True):
            others = np.flatnonzero(outside & (sizes == size))
            members = np.flatnonzero(region & (sizes == size))
            n_outside = min(int(n), len(others))
            drawn[generator.choice(others, n_outside, replace=False, shuffle=False)] = True
            drawn[generator.choice(members, int(n) - n_outside, replace=False, shuffle=False)] = True
        return pack(drawn)

    return lru_cache(maxsize=1)(draw)


def first_elements(regions: Sequence[Region], masks: Masks, forbidden: Masks, key: str) -> Masks:
    """As many elements of every matrix as the masks have: those of the highest levels in any of the regions, outside of
    `forbidden`. Which of one level is random. Fewer where all that is not forbidden is less.
    """
    header = regions[0].header

    def draw(own: str) -> Words:
        n = int(np.bitwise_count(masks(own)).sum(dtype=np.int64))
        levels: UInt8[np.ndarray, "rows columns"] = np.max([read_levels(region, own) for region in regions], axis=0)
        allowed = np.flatnonzero(~unpack(forbidden(own), header.shapes[own]))
        # A sort that keeps equal ones in the order in which they are drawn.
        drawn = _generator(f"{key}/{own}").permutation(allowed)
        first = drawn[np.argsort(-levels.reshape(-1)[drawn].astype(np.int16), kind="stable")[:n]]
        inside = np.zeros(levels.size, bool)
        inside[first] = True
        return pack(inside)

    return lru_cache(maxsize=1)(draw)


def _generator(key: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(key.encode()))))
