"""Layers with their attention and FFN weights multiplied by a factor, for as long as a context is open."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from safety_regions.models.architecture import linears, projections


@contextmanager
def scaled_layers(model: Any, first: int, last: int, alpha: float, *, scale_o: bool = True) -> Iterator[None]:
    """While open, the scored weights of layers `first` to `last` (inclusive) act multiplied by `alpha`.

    x (alpha W)^T + b is computed as (alpha x) W^T + b: the weights are never written, so nothing has to be copied or
    restored, and biases are not scaled. With 16-bit weights the product is rounded at the input instead of at the
    weight. `scale_o` false leaves the attention's output matrix as it is. Norms behind a matrix undo its scale:
    those behind attention and feed-forward (gemma2, gemma3, olmo2, olmo3, exaone4, glm4) that of v and o, and of up and
    down; those of queries and keys (qwen3, gemma3, olmo2, hunyuan_v1_dense and others) that of q and k.
    """
    chosen = [p for p in projections(model) if first <= p.layer <= last and (scale_o or p.kind != "o")]

    def scale(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0] * alpha, *inputs[1:])

    with ExitStack() as hooks:
        for module in linears(chosen) if alpha != 1 else []:
            hooks.callback(module.register_forward_pre_hook(scale).remove)
        yield
