"""SNIP for safety: I(W) = mean over samples of |W * dL/dW|, L = mean over response tokens of -log p.

Wei et al. 2024, arXiv 2402.05162, eq. 1 and 2. The absolute value is taken per sample, before the mean. |W * g| = |W| *
|g|, so |g| alone is summed over the samples and multiplied by |W| once.

Layers are backpropagated through one at a time (`methods.backward`). In its backward pass each linear layer forms the
gradient of one sample at a time, g_b^T x_b, and adds its absolute value to a running float32 sum; no gradient of the
whole batch is made and none is kept. Gradients have the model's dtype, sums are float32.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn import functional

from safety_regions.config.methods import Snip
from safety_regions.methods.backward import Backward
from safety_regions.methods.passes import Observer, measure_alone
from safety_regions.methods.weights import weight_levels
from safety_regions.models.architecture import Linear, Projection, linears, matrix_of, projections, turned
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Batch, Sample
from safety_regions.regions.select import Cut


def measure(loaded: LoadedModel, samples: Sequence[Sample], options: Snip, *, batch_tokens: int) -> dict[str, Tensor]:
    """Mean over samples of |dL/dW| for each scored matrix: float32, (out, in), on the CPU.

    A linear layer that holds several matrices (fused q, k, v) is summed once; its matrices are views of that sum.
    """
    return measure_alone(loaded, samples, observer(loaded, samples, options), batch_tokens=batch_tokens, doing="snip")


def observer(loaded: LoadedModel, samples: Sequence[Sample], options: Snip) -> Observer:
    """What gathers the statistics of `measure` in a pass over the samples."""
    return _Gradients(projections(loaded.model), len(samples))


class _Gradients:
    """Sums |dL/dW| over samples, by linear module."""

    def __init__(self, matrices: list[Projection], n_samples: int):
        self._n_samples = n_samples
        self._layers: dict[int, list[Projection]] = {}
        for matrix in matrices:
            self._layers.setdefault(matrix.layer, []).append(matrix)
        self._sums: dict[Linear, Float32[Tensor, "out in"]] = {}
        # One product buffer per shape and dtype: a fresh one for every sample costs more in page faults than its sum.
        self._products: dict[tuple, Float[Tensor, "out in"]] = {}
        self._backward: Backward | None = None

    def watching(self) -> AbstractContextManager[None]:
        return nullcontext()

    def see(self, batch: Batch, places: Sequence[int]) -> None:
        """All is in what reaches the layers."""

    @contextmanager
    def watching_layer(self, layer: int) -> Iterator[None]:
        modules = linears(self._layers[layer])
        for module in modules:
            if module not in self._sums:
                matrix = matrix_of(module)
                self._sums[module] = torch.zeros(matrix.shape, dtype=torch.float32, device=matrix.device)
        with _summing({module: self._sums[module] for module in modules}, self._products):
            yield

    def leave(self, backward: Backward) -> None:
        self._backward = backward

    def by_layer(self) -> Iterator[dict[str, Float32[Tensor, "out in"]]]:
        """The statistics of one layer after the other, the last first; called once."""
        assert self._backward is not None
        for layer in self._backward.layer_by_layer(self.watching_layer):
            # Let go of each sum as it is copied from a GPU.
            means = {m: self._sums.pop(m).div_(self._n_samples).cpu() for m in linears(self._layers[layer])}
            yield {p.name: means[p.module][p.rows] for p in self._layers[layer]}

    def statistics(self) -> dict[str, Tensor]:
        found = {name: mean for of_layer in self.by_layer() for name, mean in of_layer.items()}
        return {p.name: found[p.name] for matrices in self._layers.values() for p in matrices}


def levels(
    loaded: LoadedModel, statistics: Mapping[str, Tensor], options: Snip, cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "out in"]]]:
    """Levels of each scored matrix by `score`."""
    return weight_levels(loaded, statistics, score, cut)


def score(weight: Float[Tensor, "out in"], statistic: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    """|W| * mean|g|, float32."""
    return weight.float().abs().mul_(statistic)


class _LinearSummingGradients(torch.autograd.Function):
    """y = x W^T + b, whose backward adds |g_b^T x_b| of each sample b to a running sum instead of making dL/dW.

    An x of two dimensions is that of one sample.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, product, add):
        ctx.save_for_backward(x, weight)
        ctx.product, ctx.add = product, add
        return functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, *gradients):
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        of_samples = (of if of.dim() > 2 else of[None] for of in (x, gradient))
        for x_b, g_b in zip(*of_samples, strict=True):
            torch.mm(g_b.mT, x_b, out=ctx.product)
            ctx.add()
        return gradient @ weight, None, None, None, None


def _adding(total: Float32[Tensor, "out in"], product: Float[Tensor, "out in"]) -> Callable[[], object]:
    """total += |product|, for whatever `product` holds when it is called and may change then.

    On a CPU passes over memory cost, so there it is one where it can be.
    """
    if total.device.type == "cpu":
        from safety_regions.kernels import magnitudes

        sums, values = total.view(-1).numpy(), product.view(-1)
        if product.dtype == torch.float32:
            return partial(magnitudes.add_magnitudes, sums, values.numpy())
        if product.dtype == torch.bfloat16:
            return partial(magnitudes.add_magnitudes_bfloat16, sums, values.view(torch.uint16).numpy())
        if product.dtype == torch.float16:
            return partial(magnitudes.add_magnitudes_float16, sums, values.view(torch.uint16).numpy())
    return lambda: total.add_(product.abs_())


@contextmanager
def _summing(sums: dict[Linear, Tensor], products: dict[tuple, Tensor]) -> Iterator[None]:
    """While open, the linear layers add per-sample |dL/dW| to their sum whenever a loss is backpropagated; `products`
    are buffers to form it in, of which those that lack are added.
    """
    # Where layers lie on several GPUs each has a forward of its own already, which brings inputs to its device.
    before = {module: module.__dict__.get("forward") for module in sums}
    for module, total in sums.items():
        key = (*total.shape, module.weight.dtype, module.weight.device)
        empty = torch.empty(total.shape, dtype=module.weight.dtype, device=module.weight.device)
        product = products.setdefault(key, empty)
        module.forward = _forward(module, product, _adding(total, product))  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module, forward in before.items():
            del module.forward
            if forward is not None:
                module.forward = forward  # type: ignore[method-assign]


def _forward(module: Linear, product: Tensor, add: Callable[[], object]):
    return lambda x: _LinearSummingGradients.apply(x, turned(module, module.weight), module.bias, product, add)
