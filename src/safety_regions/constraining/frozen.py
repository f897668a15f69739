"""Training in which some weights keep their bits.

A frozen weight has no gradient, so it is in no norm that gradients are clipped to, and the optimizer's moments of it
stay zero. What moves a weight without a gradient, weight decay and the sum of two zeros with signs, is undone after
each step. With LoRA the weight of a linear layer is W + scaling B A (Hu et al. 2021, arXiv 2106.09685, eq. 3) where it
may move, and W where it is frozen: in training, in evaluation and merged alike.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from safety_regions.constraining.places import Places, Weights, put_back
from safety_regions.models.architecture import Linear, matrix_of, turned


@contextmanager
def trained_in_full(aligned: Weights, frozen: Places) -> Iterator[Callable[[], None]]:
    """While open, the modules of `aligned` are trained but for the frozen weights; gives what to call after each step.

    `aligned`: the values that frozen weights keep.
    """
    with ExitStack() as stack:
        for module in aligned:
            module.weight.requires_grad_(True)
            stack.callback(_at_rest, module.weight)
            if module in frozen:
                handle = module.weight.register_hook(_without(turned(module, frozen[module])))
                stack.callback(handle.remove)
        yield lambda: put_back(aligned, frozen)


def _at_rest(weight: Tensor) -> None:
    weight.requires_grad_(False).grad = None


def _without(frozen: Bool[Tensor, "rows columns"]) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient.masked_fill(frozen, 0)


@contextmanager
def trained_by_adapter(aligned: Weights, frozen: Places, rank: int, alpha: float) -> Iterator[Callable[[], None]]:
    """As `trained_in_full`, but an adapter is trained; when the block ends, what it adds is part of the weights.

    A is drawn from torch's current generator, B is zero.
    """
    for module in aligned:
        parametrize.register_parametrization(module, "weight", _LowRank(module, frozen.get(module), rank, alpha))
    try:
        yield lambda: None
    finally:
        for module in aligned:
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
            module.weight.requires_grad_(False)


class _LowRank(nn.Module):
    """From a weight to the one with an adapter; what is trained is in float32 whatever the weight is in."""

    def __init__(self, module: Linear, frozen: Bool[Tensor, "out in"] | None, rank: int, alpha: float):
        super().__init__()
        weight = matrix_of(module)
        n_out, n_in = weight.shape
        self.turned = partial(turned, module)
        self.scaling, self.frozen = alpha / rank, None if frozen is None else self.turned(frozen)
        self.a = nn.Parameter(torch.empty(rank, n_in, device=weight.device))
        self.b = nn.Parameter(torch.zeros(n_out, rank, device=weight.device))
        # As LoRA's authors and peft draw it.
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
        moved = (weight.float() + self.turned(self.scaling * (self.b @ self.a))).to(weight.dtype)
        return moved if self.frozen is None else torch.where(self.frozen, weight, moved)
