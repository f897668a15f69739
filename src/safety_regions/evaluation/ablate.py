"""A model without a region, for as long as a block runs, and random regions to take out instead.

Weights are set to zero or to the mean of their matrix. Of an adapter, entries of its factors A and B are replaced so,
and the model's weight W becomes that of the changed adapter: W - s B A + s B' A' if W has the adapter merged in, W + s
B' A' if not. Afterwards every weight has the bits that it had before.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from safety_regions.models.adapter import LoraAdapter
from safety_regions.models.architecture import Projection
from safety_regions.regions.format import Header, Words, pack
from safety_regions.regions.masks import Masks, unpack


@contextmanager
def ablated(matrices: Sequence[Projection], masks: Masks, replace: str) -> Iterator[int]:
    """While open, the weights in the masks (packed, one for each matrix) are replaced; gives their number.

    `replace`: `zero`, or `mean`, the mean of the intact matrix. Beside the masks, only the replaced values are kept.
    """
    kept: list[tuple[Tensor, Words, Tensor]] = []
    try:
        for p in matrices:
            words = masks(p.name)
            if words.any():
                rows = p.module.weight.detach()[p.start : p.stop]
                mask = _on(rows, words)
                kept.append((rows, words, rows[mask]))
                rows.masked_fill_(mask, _replacement(rows, replace))
        yield sum(len(values) for _, _, values in kept)
    finally:
        for rows, words, values in kept:
            rows.masked_scatter_(_on(rows, words), values)


def without_entries(adapter: LoraAdapter, masks: Masks, replace: str, *, merged: bool) -> LoraAdapter:
    """The adapter to add to the model (`models.adapter.adapted`) so that it is one without the entries in the masks.

    The masks are those of `<layer>.<kind>_a` and `<layer>.<kind>_b`. For a model that has the whole adapter in its
    weights (`merged`), what is added is B' A' - B A as one product of twice the rank, for the linears with replaced
    entries alone.
    """
    factors = {}
    for name, (a, b) in adapter.factors.items():
        words = [masks(f"{name}_{factor}") for factor in "ab"]
        left_a, left_b = (_replaced(matrix, w, replace) for matrix, w in zip((a, b), words, strict=True))
        if not merged:
            factors[name] = (left_a, left_b)
        elif any(w.any() for w in words):
            factors[name] = (torch.cat([left_a, a]), torch.cat([left_b, -b], dim=1))
    return LoraAdapter(adapter.scaling, factors)


def _replaced(matrix: Tensor, words: Words, replace: str) -> Tensor:
    return matrix.masked_fill(_on(matrix, words), _replacement(matrix, replace))


def _replacement(matrix: Tensor, replace: str) -> Float[Tensor, ""]:
    mean = matrix.mean(dtype=torch.float32) if replace == "mean" else torch.zeros((), device=matrix.device)
    return mean.to(matrix.dtype)


def _on(matrix: Tensor, words: Words) -> Bool[Tensor, "rows columns"]:
    return torch.from_numpy(unpack(words, (matrix.shape[0], matrix.shape[1]))).to(matrix.device)


def random_like(masks: Masks, header: Header, forbidden: Masks | None, key: str) -> Masks:
    """A random region of the real one's size and shape, with none of the elements `forbidden`.

    It has as many elements of every matrix as the masks have. Of layers it has as many as the masks, and is another
    region than the real one where there is another: a contiguous range (single layers, where no such range is allowed),
    or any layers if the shape is `free`. The same key gives the same region on every machine.
    """
    if header.granularity == "layer":
        layers = _random_layers(masks, header, forbidden, _generator(key))
        return lambda own: pack(np.array([own in layers]))

    def draw(own: str) -> Words:
        rows, columns = header.shapes[own]
        n = int(np.bitwise_count(masks(own)).sum(dtype=np.int64))
        places = rows * columns if forbidden is None else np.flatnonzero(~unpack(forbidden(own), (rows, columns)))
        inside = np.zeros(rows * columns, bool)
        inside[_generator(f"{key}/{own}").choice(places, n, replace=False, shuffle=False)] = True
        return pack(inside)

    return lru_cache(maxsize=1)(draw)


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


def _generator(key: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(key.encode()))))
