"""A model's scored matrices: the linear layers that `config.architectures` names.

Scored are these projections of every block, all that there are of q, k, v, o, gate, up and down; embeddings, norms and
lm_head are not. An architecture that fuses several projections into one matrix gives each its block of output rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from safety_regions.config.architectures import BY_HEAD, DECODERS, LAYOUTS, WRAPPERS, refuse_unknown
from safety_regions.errors import UserError
from safety_regions.regions.owned_weights import KINDS, Layout, make_layout


@dataclass(frozen=True, eq=False)
class Projection:
    """One scored matrix: some rows of the weight of a linear module."""

    name: str
    """`<layer>.<kind>`, the same for every architecture: `0.q`, `11.down`."""
    layer: int
    kind: str
    module: nn.Linear
    rows: slice | Int64[Tensor, " out"]
    """Of the module's weight, in the order of this matrix's own; an index of what has as many rows."""
    n_rows: int

    @property
    def shape(self) -> tuple[int, int]:
        """(output rows, input channels) of this matrix."""
        return self.n_rows, self.module.weight.shape[1]

    def read(self) -> Float[Tensor, "out in"]:
        """The weights as they are now. What is written to them gets into the model by `write` alone."""
        return self.module.weight.detach()[self.rows]

    def write(self, weights: Float[Tensor, "out in"]) -> None:
        """Give the model these weights."""
        self.module.weight.detach()[self.rows] = weights


def auto_class(model_type: str) -> Any:
    """The class of transformers that loads and builds models of this type, from config.json."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    return AutoModelForImageTextToText if model_type in WRAPPERS else AutoModelForCausalLM


def decoder_of(model: Any) -> Any:
    """What turns tokens into the last layer's states: its blocks are `layers`, its `config` is that of the text model.

    Raises `UserError` for an architecture that is not known.
    """
    refuse_unknown(model.config.to_dict(), model.config.name_or_path)
    return model.get_submodule(decoder_path(model.config.model_type))


def decoder_path(model_type: str) -> str:
    """Where in a model of this type its decoder is."""
    return WRAPPERS.get(model_type) or DECODERS.get(model_type, "model")


def layers_path(model_type: str) -> str:
    """Where in a model of this type the layers of its decoder are."""
    return f"{decoder_path(model_type)}.layers"


def attentions(model: Any) -> list[nn.Module]:
    """What computes the attention of each layer, and so holds W_o."""
    decoder = decoder_of(model)
    [path] = [path for path, kinds in LAYOUTS[decoder.config.model_type].items() if kinds == ("o",)]
    return [block.get_submodule(path.rpartition(".")[0]) for block in decoder.layers]


def projections(model: Any) -> list[Projection]:
    """All scored matrices of a causal language model, in layer order and, within a layer, in the order of `KINDS`.

    Raises `UserError` for an architecture that is not known, and for a module that is missing or not a plain linear.
    """
    decoder, found = decoder_of(model), []
    for layer, block in enumerate(decoder.layers):
        paths = LAYOUTS[decoder.config.model_type].items()
        in_block = [p for path, kinds in paths for p in _of_module(decoder.config, layer, block, path, kinds)]
        found += sorted(in_block, key=lambda p: KINDS.index(p.kind))
    return found


def _of_module(config: Any, layer: int, block: nn.Module, path: str, kinds: tuple[str, ...]) -> Iterator[Projection]:
    try:
        module = block.get_submodule(path)
    except AttributeError:
        raise UserError(
            f"layer {layer} has no {path}",
            where=config.name_or_path,
            expected=f"the modules that LAYOUTS says of {config.model_type}, in every layer",
            hint="layers of different kinds (experts, state spaces) cannot be scored",
        ) from None
    if not isinstance(module, nn.Linear):
        raise UserError(
            f"layer {layer}'s {path} is a {type(module).__name__}",
            where=config.name_or_path,
            expected="a plain linear layer",
            hint="quantised weights cannot be scored; use the unquantised model",
        )
    if len(kinds) > 1 and config.model_type in BY_HEAD:
        by_head = torch.arange(module.weight.shape[0]).unflatten(0, (config.num_attention_heads, len(kinds), -1))
        for kind, rows in zip(kinds, by_head.unbind(1), strict=True):
            yield Projection(f"{layer}.{kind}", layer, kind, module, rows.flatten(), rows.numel())
        return
    start = 0
    for kind, n_rows in zip(kinds, _n_rows(config, module, kinds), strict=True):
        yield Projection(f"{layer}.{kind}", layer, kind, module, slice(start, start + n_rows), n_rows)
        start += n_rows


def _n_rows(config: Any, module: nn.Linear, kinds: tuple[str, ...]) -> list[int]:
    total = module.weight.shape[0]
    if kinds == ("q", "k", "v"):
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        keys = config.num_key_value_heads * head
        return [total - 2 * keys, keys, keys]
    return [total // len(kinds)] * len(kinds)


def linears(matrices: Sequence[Projection]) -> list[nn.Linear]:
    """The distinct linear modules that hold these matrices, in order."""
    return list(dict.fromkeys(p.module for p in matrices))


def layout_of(model: Any) -> Layout:
    """The layout of a causal language model; its weights are not looked at and may be on the meta device."""
    return make_layout({p.name: p.shape for p in projections(model)}, decoder_of(model).config.num_attention_heads)
