"""Masks of regions: at a fraction, united, and refined.

refine(S(q), U(p)) = S(q) \\ U(p), Wei et al. 2024, arXiv 2402.05162, eq. 4: the part of a safety region that is not
also a utility region. On packed words this is one AND NOT, cheaper than reading its result back, so whoever needs a
refined mask makes it from the two regions; files of refined regions are for whoever takes them elsewhere.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, reduce

import numpy as np
from jaxtyping import Bool, UInt64

from safety_regions.regions.format import HeldRegion, Region, Words, at_least
from safety_regions.regions.select import level_of

Masks = Callable[[str], Words]
"""Name of a matrix -> its packed mask. The matrices are a region's own, or the model's."""


def refine(
    safety: UInt64[np.ndarray, "*sets words"], utility: UInt64[np.ndarray, "*utility words"]
) -> UInt64[np.ndarray, "*refined words"]:
    """Packed mask(s) of the elements inside `safety` and outside `utility`; several of both are broadcast."""
    return safety & ~utility


def masks_at(region: Region | HeldRegion, fraction: float) -> Masks:
    """The region's masks at a fraction of its grid.

    The last one is kept, since the same is asked for again and again.
    """
    level = level_of(region.header.grid, fraction)
    return lru_cache(maxsize=1)(lambda own: at_least(region.planes(own), level))


def union(parts: Sequence[Masks]) -> Masks:
    """Elements in any of the parts. The last mask is kept here too."""
    return lru_cache(maxsize=1)(lambda own: reduce(np.bitwise_or, [part(own) for part in parts]))


def in_at_least(parts: Sequence[Masks], n: int) -> Masks:
    """Elements in at least n of the parts, n >= 1. The last mask is kept here too."""

    def agreed(own: str) -> Words:
        # at[k] are the elements in more than k of the parts so far.
        at: list[Words] = []
        for words in (part(own) for part in parts):
            carried = words
            for k, seen in enumerate(at):
                at[k], carried = seen | carried, seen & carried
            at.append(carried)
        return at[n - 1]

    return lru_cache(maxsize=1)(agreed)


def without(safety: Masks, utility: Masks) -> Masks:
    """Elements in `safety` and not in `utility`: refinement."""
    return lambda own: refine(safety(own), utility(own))


def size_of(words: Words) -> int:
    """Elements in a packed mask."""
    return int(np.bitwise_count(words).sum(dtype=np.int64))


def unpack(words: Words, shape: tuple[int, int]) -> Bool[np.ndarray, "rows columns"]:
    """The mask of a matrix from its packed words."""
    return np.unpackbits(words.view(np.uint8), count=shape[0] * shape[1], bitorder="little").view(bool).reshape(shape)
