"""A model without a region, for as long as a block runs.

Weights are set to zero or to the mean of their matrix. Of an adapter, entries of its factors A and B are replaced so,
and the model's weight W becomes that of the changed adapter: W - s B A + s B' A' if W has the adapter merged in, W + s
B' A' if not. Afterwards every weight has the bits that it had before.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from safety_regions.models.adapter import LoraAdapter
from safety_regions.models.architecture import Projection
from safety_regions.regions.format import Words
from safety_regions.regions.masks import Masks, unpack


@contextmanager
def ablated(matrices: Sequence[Projection], masks: Masks, replace: str) -> Iterator[int]:
    """While open, the weights in the masks (packed, one for each matrix) are replaced; gives their number.

    `replace`: `zero`, or `mean`, the mean of the intact matrix. Beside the masks, only the replaced values are kept.
    """
    kept: list[tuple[Projection, Words, Tensor]] = []
    try:
        for p in matrices:
            words = masks(p.name)
            if words.any():
                matrix = p.read()
                mask = _on(matrix, words)
                kept.append((p, words, matrix[mask]))
                p.write(matrix.masked_fill_(mask, _replacement(matrix, replace)))
        yield sum(len(values) for _, _, values in kept)
    finally:
        for p, words, values in kept:
            matrix = p.read()
            p.write(matrix.masked_scatter_(_on(matrix, words), values))


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
