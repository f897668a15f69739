"""A model without a region, for as long as a block runs, and random regions to take out instead.

Weights are set to zero or to the mean of their matrix. Of an adapter, entries of its factors A and B are replaced so,
and the model's weight W becomes that of the changed adapter: W - s B A + s B' A' if W has the adapter merged in, W + s
B' A' if not. Afterwards every weight has the bits that it had before.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from safety_regions.models.adapter import LoraAdapter
from safety_regions.models.architecture import Projection
from safety_regions.regions.format import Words, pack
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


def random_like(
    masks: Masks, shapes: Mapping[str, tuple[int, int]], granularity: str, forbidden: Masks | None, key: str
) -> Masks:
    """A random region with as many elements of every matrix as the masks have, none of them `forbidden`.

    Of layers, it is a random contiguous range with as many as the real region, and another one than that where there is
    one; where no such range is allowed, single layers. The same key gives the same region on every machine.
    """
    if granularity == "layer":
        layers = _random_layers(masks, list(shapes), forbidden, _generator(key))
        return lambda own: pack(np.array([own in layers]))

    def draw(own: str) -> Words:
        size = shapes[own][0] * shapes[own][1]
        n = int(np.bitwise_count(masks(own)).sum(dtype=np.int64))
        places = size if forbidden is None else np.flatnonzero(~unpack(forbidden(own), shapes[own]))
        inside = np.zeros(size, bool)
        inside[_generator(f"{key}/{own}").choice(places, n, replace=False, shuffle=False)] = True
        return pack(inside)

    return lru_cache(maxsize=1)(draw)


def _random_layers(masks: Masks, names: list[str], forbidden: Masks | None, generator: np.random.Generator) -> set[str]:
    real = np.array([masks(name).any() for name in names])
    allowed = np.array([forbidden is None or not forbidden(name).any() for name in names])
    n = int(real.sum())
    starts = [s for s in range(len(names) - n + 1) if allowed[s : s + n].all()]
    if not starts:
        return {names[i] for i in generator.choice(np.flatnonzero(allowed), n, replace=False)}
    start = generator.choice([s for s in starts if not real[s : s + n].all()] or starts)
    return set(names[start : start + n])


def _generator(key: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(key.encode()))))
