"""SNIP for safety: I(W) = mean over samples of |W * dL/dW|, L = mean over response tokens of -log p.

Wei et al. 2024, arXiv 2402.05162, eq. 1 and 2. The absolute value is taken per sample, before the mean. |W * g| = |W| * |g|,
so |g| alone is summed over the samples and multiplied by |W| once.

All layers are scored in one forward and one backward pass per batch. In its backward pass each linear layer forms the
gradient of one sample at a time, g_b^T x_b, and adds its absolute value to a running float32 sum; no gradient of the
whole batch is made and none is kept. Gradients have the model's dtype, sums are float32.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from safety_regions.config.methods import Snip
from safety_regions.methods.weights import weight_levels
from safety_regions.models.architecture import linears, projections
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Batch, Sample, batches, collate
from safety_regions.progress import progress
from safety_regions.select import Cut


def measure(loaded: LoadedModel, samples: Sequence[Sample], options: Snip, *, batch_tokens: int) -> dict[str, Tensor]:
    """Mean over samples of |dL/dW| for each scored matrix: float32, (out, in), on the CPU.

    A linear layer that holds several matrices (fused q, k, v) is summed once; its matrices are views of that sum.
    """
    matrices = projections(loaded.model)
    sums = {module: torch.zeros_like(module.weight, dtype=torch.float32) for module in linears(matrices)}
    with _summing(sums), progress(len(samples), "snip") as bar:
        for bucket in batches(samples, batch_tokens):
            response_loss(loaded.model, collate(bucket).to(loaded.device)).backward()
            bar.update(len(bucket))
    means = {module: total.div_(len(samples)).cpu() for module, total in sums.items()}
    return {p.name: means[p.module][p.start : p.stop] for p in matrices}


def levels(
    loaded: LoadedModel, statistics: Mapping[str, Tensor], options: Snip, cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "out in"]]]:
    """Levels of each scored matrix by `score`."""
    return weight_levels(loaded, statistics, score, cut)


def score(weight: Float[Tensor, "out in"], statistic: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    """|W| * mean|g|, float32."""
    return weight.float().abs().mul_(statistic)


def response_loss(model: Any, batch: Batch) -> Float[Tensor, ""]:
    """Sum over the batch of each sample's mean of -log p(response token | everything before it).

    A sum, so that the gradient that reaches a sample's activations is that of its own loss. Logits are computed only at
    positions that predict a response token of some sample.
    """
    columns = batch.is_response[:, 1:].any(dim=0).nonzero().squeeze(1)
    logits = model(batch.input_ids, logits_to_keep=columns, use_cache=False).logits
    wanted = batch.is_response[:, columns + 1]
    weights = (1.0 / wanted.sum(dim=1, keepdim=True)).expand_as(wanted)
    losses = functional.cross_entropy(logits[wanted].float(), batch.input_ids[:, columns + 1][wanted], reduction="none")
    return (losses * weights[wanted]).sum()


class _LinearSummingGradients(torch.autograd.Function):
    """y = x W^T + b, whose backward adds |g_b^T x_b| of each sample b to a running sum instead of making dL/dW."""

    @staticmethod
    def forward(ctx, x, weight, bias, anchor, total, product):
        ctx.save_for_backward(x, weight)
        ctx.total, ctx.product = total, product
        return functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, *gradients):
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        for x_b, g_b in zip(x, gradient, strict=True):
            torch.mm(g_b.mT, x_b, out=ctx.product)
            ctx.total.add_(ctx.product.abs_())
        return gradient @ weight if ctx.needs_input_grad[0] else None, None, None, None, None, None


@contextmanager
def _summing(sums: dict[nn.Linear, Tensor]) -> Iterator[None]:
    """While open, the linear layers add per-sample |dL/dW| to their sum whenever a loss is backpropagated."""
    # Frozen weights need no gradient, so something else must make autograd visit the first layer: a scalar that does.
    anchor = torch.zeros((), requires_grad=True)
    # One product buffer per shape and dtype: a fresh one for every sample costs more in page faults than its sum.
    products: dict[tuple, Tensor] = {}
    # Where layers lie on several GPUs each has a forward of its own already, which brings inputs to its device.
    before = {module: module.__dict__.get("forward") for module in sums}
    for module, total in sums.items():
        key = (*module.weight.shape, module.weight.dtype, module.weight.device)
        product = products.setdefault(key, torch.empty_like(module.weight))
        module.forward = _forward(module, anchor, total, product)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module, forward in before.items():
            del module.forward
            if forward is not None:
                module.forward = forward  # type: ignore[method-assign]


def _forward(module: nn.Linear, anchor: Tensor, total: Tensor, product: Tensor):
    return lambda x: _LinearSummingGradients.apply(x, module.weight, module.bias, anchor, total, product)
