"""A model's scored matrices: the linear layers that `config.layouts` names.

Scored are these projections of every block, all that there are of q, k, v, o, gate, up and down; embeddings, norms and
lm_head are not. An architecture that fuses several projections into one matrix gives each its block of output rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from safety_regions.config.architectures import WRAPPERS, blocks_path, refuse_unknown
from safety_regions.config.layouts import LAYOUTS
from safety_regions.config.text_dimensions import in_common_names
from safety_regions.errors import UserError
from safety_regions.regions.owned_weights import KINDS, Layout, make_layout

if TYPE_CHECKING:
    from transformers.pytorch_utils import Conv1D

    Linear: TypeAlias = nn.Linear | Conv1D
else:
    Linear = nn.Module
"""A module that multiplies by a matrix. The weight of a `Conv1D` lies as (in, out)."""


def turned(module: Linear, matrix: Tensor) -> Tensor:
    """A matrix (out, in) as the module's weight lies, or what lies like that as (out, in): a view."""
    return matrix if isinstance(module, nn.Linear) else matrix.T


def matrix_of(module: Linear) -> Float[Tensor, "out in"]:
    """The module's weights as they are now. What is written to it the model has."""
    return turned(module, module.weight.detach())


@dataclass(frozen=True, eq=False)
class Projection:
    """One scored matrix: some rows of that of a linear module."""

    name: str
    """`<layer>.<kind>`, the same for every architecture: `0.q`, `11.down`."""
    layer: int
    kind: str
    module: Linear
    rows: slice | Int64[Tensor, " out"]
    """Of the module's matrix, in the order of this matrix's own; an index of what has as many rows."""
    n_rows: int

    @property
    def shape(self) -> tuple[int, int]:
        """(output rows, input channels) of this matrix."""
        return self.n_rows, matrix_of(self.module).shape[1]

    def read(self) -> Float[Tensor, "out in"]:
        """The weights as they are now. What is written to them gets into the model by `write` alone."""
        return matrix_of(self.module)[self.rows]

    def write(self, weights: Float[Tensor, "out in"]) -> None:
        """Give the model these weights."""
        matrix_of(self.module)[self.rows] = weights


def auto_class(model_type: str) -> Any:
    """The class of transformers that loads and builds models of this type, from config.json."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    return AutoModelForImageTextToText if model_type in WRAPPERS else AutoModelForCausalLM


def decoder_of(model: Any) -> Any:
    """What turns tokens into the last layer's states: its `config` is that of the text model.

    Raises `UserError` for an architecture that is not known.
    """
    return model.get_submodule(_blocks_path(model).rpartition(".")[0])


def layers_of(model: Any) -> list[nn.Module]:
    """The blocks of the decoder, in order. Raises `UserError` for an architecture that is not known."""
    return list(model.get_submodule(_blocks_path(model)))


def _blocks_path(model: Any) -> str:
    config = model.config.to_dict()
    refuse_unknown(config, model.config.name_or_path)
    return blocks_path(config)


def states_of(output: Any) -> Tensor:
    """The states in what a layer gives: some types give more beside them."""
    return output[0] if isinstance(output, tuple | list) else output


def attentions(model: Any) -> list[nn.Module]:
    """What computes the attention of each layer, and so holds W_o."""
    modules = LAYOUTS[decoder_of(model).config.model_type].modules
    [path] = [path for path, kinds in modules.items() if kinds == ("o",)]
    return [layer.get_submodule(path.rpartition(".")[0]) for layer in layers_of(model)]


def mixes_rows(model: Any) -> bool:
    """Whether linear modules get the tokens of a batch's rows one behind the other: it reads one row at a time then."""
    return LAYOUTS[decoder_of(model).config.model_type].mixes_rows


def projections(model: Any) -> list[Projection]:
    """All scored matrices of a causal language model, in layer order and, within a layer, in the order of `KINDS`.

    Raises `UserError` for an architecture that is not known, and for a module that is missing or not a plain linear.
    """
    config, found = decoder_of(model).config, []
    for layer, block in enumerate(layers_of(model)):
        paths = LAYOUTS[config.model_type].modules.items()
        in_block = [p for path, kinds in paths for p in _of_module(config, layer, block, path, kinds)]
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
    from transformers.pytorch_utils import Conv1D

    if not isinstance(module, nn.Linear | Conv1D):
        raise UserError(
            f"layer {layer}'s {path} is a {type(module).__name__}",
            where=config.name_or_path,
            expected="a plain linear layer",
            hint="quantised weights cannot be scored; use the unquantised model",
        )
    total = len(matrix_of(module))
    groups, widths = _fused(config, total, kinds)
    if groups > 1:
        parts = torch.arange(total).unflatten(0, (groups, -1)).split(widths, dim=1)
        for kind, rows in zip(kinds, parts, strict=True):
            yield Projection(f"{layer}.{kind}", layer, kind, module, rows.flatten(), rows.numel())
        return
    start = 0
    for kind, n_rows in zip(kinds, widths, strict=True):
        yield Projection(f"{layer}.{kind}", layer, kind, module, slice(start, start + n_rows), n_rows)
        start += n_rows


def _fused(config: Any, total: int, kinds: tuple[str, ...]) -> tuple[int, list[int]]:
    """How many groups of rows a matrix of so many rows has, and how many rows of each kind a group."""
    if "q" not in kinds or len(kinds) == 1:
        return 1, [total // len(kinds)] * len(kinds)
    said = in_common_names(config.to_dict())
    n_heads = said["num_attention_heads"]
    n_keys = said.get("num_key_value_heads", n_heads)
    head = total // (n_heads + 2 * n_keys)
    groups = {"one": 1, "heads": n_heads, "keys": n_keys, "four": 4}[LAYOUTS[config.model_type].groups]
    return groups, [(n_heads if kind == "q" else n_keys) * head // groups for kind in kinds]


def linears(matrices: Sequence[Projection]) -> list[Linear]:
    """The distinct linear modules that hold these matrices, in order."""
    return list(dict.fromkeys(p.module for p in matrices))


def layout_of(model: Any) -> Layout:
    """The layout of a causal language model; its weights are not looked at and may be on the meta device."""
    return make_layout({p.name: p.shape for p in projections(model)}, decoder_of(model).config.num_attention_heads)
