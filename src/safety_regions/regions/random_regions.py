"""Random regions to take out instead of one: as large in every matrix, of as large weights, or grown at will.

The same key gives the same region on every machine.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int64

from safety_regions.regions.format import Header, Words, pack
from safety_regions.regions.masks import Masks, unpack

Magnitudes = Callable[[str], Float32[np.ndarray, "rows columns"]]
"""Name of a matrix of the method's elements -> how large each of them is, from 0 on."""
EIGHTHS = 20
"""Bits of a float32 that are left out to tell magnitudes up to an eighth of a power of two."""


def random_like(masks: Masks, header: Header, forbidden: Masks | None, key: str) -> Masks:
    """A random region of the real one's size and shape, with none of the elements `forbidden`.

    It has as many elements of every matrix as the masks have. Of layers it has as many as the masks, and is another
    region than the real one where there is another: a contiguous range (single layers, where no such range is allowed),
    or any layers if the shape is `free`.
    """
    if header.granularity == "layer":
        layers = _random_layers(masks, header, forbidden, generator_of(key))
        return lambda own: pack(np.array([own in layers]))

    def draw(own: str) -> Words:
        rows, columns = header.shapes[own]
        n = count_of(masks(own))
        places = rows * columns if forbidden is None else np.flatnonzero(_allowed(forbidden, own, (rows, columns)))
        inside = np.zeros(rows * columns, bool)
        inside[generator_of(f"{key}/{own}").choice(places, n, replace=False, shuffle=False)] = True
        return pack(inside)

    return lru_cache(maxsize=1)(draw)


def random_as_large(masks: Masks, header: Header, forbidden: Masks | None, magnitudes: Magnitudes, key: str) -> Masks:
    """A random region like `random_like` whose elements are as large as the masks' too, up to an eighth of a power of
    two; never of layers.

    Of each size it takes elements outside the masks as long as there are any, so the two share few.
    """

    def draw(own: str) -> Words:
        rows, columns = header.shapes[own]
        region = unpack(masks(own), (rows, columns)).reshape(-1)
        allowed = _allowed(forbidden, own, (rows, columns)).reshape(-1)
        sizes = (magnitudes(own).reshape(-1).view(np.uint32) >> EIGHTHS).astype(np.uint16)
        generator, inside = generator_of(f"{key}/{own}"), np.zeros(rows * columns, bool)
        others = _by_size(np.flatnonzero(allowed & ~region), sizes)
        for size, members in _by_size(np.flatnonzero(region), sizes).items():
            outside = others.get(size, members[:0])
            n = min(len(members), len(outside))
            inside[generator.choice(outside, n, replace=False, shuffle=False)] = True
            inside[generator.choice(members, len(members) - n, replace=False, shuffle=False)] = True
        return pack(inside)

    return lru_cache(maxsize=1)(draw)


def _by_size(places: Int64[np.ndarray, " places"], sizes: np.ndarray) -> dict[int, Int64[np.ndarray, " _"]]:
    """The places with each size."""
    ordered = places[np.argsort(sizes[places], kind="stable")]
    found, starts = np.unique(sizes[ordered], return_index=True)
    return dict(zip(found.tolist(), np.split(ordered, starts[1:]), strict=True)) if len(places) else {}


def grown(masks: Masks, header: Header, forbidden: Masks | None, key: str) -> Callable[[float], Masks]:
    """Random regions, each within all larger ones, with none of the elements `forbidden`; never of layers.

    By a factor: in every matrix about as many elements as the masks have times it, as far as there are so many.
    """

    def at(factor: float) -> Masks:
        def draw(own: str) -> Words:
            shape = header.shapes[own]
            allowed = _allowed(forbidden, own, shape)
            share = count_of(masks(own)) / max(int(allowed.sum()), 1)
            drawn = generator_of(f"{key}/{own}").random(shape, np.float32) < factor * share
            return pack(drawn & allowed)

        return lru_cache(maxsize=1)(draw)

    return at


def largest_factor(masks: Masks, header: Header, forbidden: Masks | None) -> float:
    """The factor from which on `grown` regions are all that is allowed of every matrix that the masks have some of."""
    held = {own: count_of(masks(own)) for own in header.shapes}
    return max(int(_allowed(forbidden, own, header.shapes[own]).sum()) / n for own, n in held.items() if n)


def _allowed(forbidden: Masks | None, own: str, shape: tuple[int, int]) -> Bool[np.ndarray, "rows columns"]:
    return np.ones(shape, bool) if forbidden is None else ~unpack(forbidden(own), shape)


def count_of(words: Words) -> int:
    """The number of elements in a packed mask."""
    return int(np.bitwise_count(words).sum(dtype=np.int64))


def _random_layers(masks: Masks, header: Header, forbidden: Masks | None, generator: np.random.Generator) -> set[str]:
    names = list(header.shapes)
    real = np.array([masks(name).any() for name in names])
    allowed = np.array([forbidden is None or not forbidden(name).any() for name in names])
    n = int(real.sum())
    if header.region_shape == "free":
        return {names[i] for i in _other_layers(np.flatnonzero(real), np.flatnonzero(allowed), generator)}
    starts = [s for s in range(len(names) - n + 1) if allowed[s : s + n].all()]
    if not starts:
        return {names[i] for i in generator.choice(np.flatnonzero(allowed), n, replace=False)}
    start = generator.choice([s for s in starts if not real[s : s + n].all()] or starts)
    return set(names[start : start + n])


def _other_layers(
    real: Int64[np.ndarray, " n"], allowed: Int64[np.ndarray, " _"], generator: np.random.Generator
) -> Int64[np.ndarray, " n"]:
    """As many of the allowed layers as are real, each such set with equal chance but the real one, unless it is the
    only one.
    """
    while True:
        drawn = generator.choice(allowed, len(real), replace=False)
        if set(drawn) != set(real) or len(real) in (0, len(allowed)):
            return drawn


def generator_of(key: str) -> np.random.Generator:
    """Random numbers that follow from the key alone."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(key.encode()))))
