"""A LoRA safety adapter: loaded, and added to a model.

The weight W (out, in) of every scored linear layer becomes W + alpha/r B A, with A (r, in) and B (out, r) trained (Hu
et al. 2021, arXiv 2106.09685, eq. 3).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from safety_regions.errors import UserError
from safety_regions.models.architecture import Linear, matrix_of, projections
from safety_regions.models.load import LoadedModel

ADAPTER, ADAPTER_CONFIG = "lora.safetensors", "lora.json"
"""The adapter's files, under names that transformers does not take for an adapter to load."""


@dataclass(frozen=True)
class LoraAdapter:
    """The factors of a loaded adapter, float32, on the CPU."""

    scaling: float
    """alpha / r: a linear's weight grows by scaling * B @ A."""
    factors: dict[str, tuple[Float[Tensor, "rank in"], Float[Tensor, "out rank"]]]
    """(A, B) by the name of the linear, as in `named_linears`, in the order of the model."""


def named_linears(model: Any) -> dict[str, Linear]:
    """The scored linear layers by `<layer>.<kind>`, in model order; one that holds several matrices joins their kinds:
    `0.qkv`.
    """
    kinds: dict[Linear, str] = {}
    for p in projections(model):
        kinds[p.module] = kinds.get(p.module, f"{p.layer}.") + p.kind
    return {name: module for module, name in kinds.items()}


def factor_shapes(adapter: LoraAdapter) -> dict[str, tuple[int, int]]:
    """The shapes of A and B of each linear by `<layer>.<kind>_a` and `<layer>.<kind>_b`, in the order of the model."""
    return {
        f"{name}_{factor}": (matrix.shape[0], matrix.shape[1])
        for name, pair in adapter.factors.items()
        for factor, matrix in zip("ab", pair, strict=True)
    }


def load_adapter(folder: Path, model: Any) -> LoraAdapter:
    """The adapter that `save_lora` left in `folder`, for this model; the folder's receipt is for the caller to check.

    Raises `UserError` if files are missing, a scored linear has no factors, others have, or shapes do not fit.
    """
    from safetensors.torch import load_file

    path = folder / ADAPTER
    missing = [p.name for p in (path, folder / ADAPTER_CONFIG) if not p.is_file()]
    if missing:
        raise UserError(f"no {' and no '.join(missing)}", where=str(folder), expected="a folder with a LoRA adapter")
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    tensors, paths = load_file(path), {module: name for name, module in model.named_modules()}
    factors = {
        name: _take_factors(tensors, paths[module], module, config["r"], path)
        for name, module in named_linears(model).items()
    }
    if tensors:
        raise UserError(
            f"factors of what is not a scored linear: {', '.join(sorted(tensors)[:3])}",
            where=str(path),
            expected="an adapter for this model",
        )
    return LoraAdapter(config["lora_alpha"] / config["r"], factors)


def _take_factors(
    tensors: dict[str, Tensor], name: str, module: Linear, rank: int, path: Path
) -> tuple[Tensor, Tensor]:
    n_out, n_in = matrix_of(module).shape
    keys = [f"base_model.model.{name}.lora_{side}.weight" for side in "AB"]
    if any(key not in tensors for key in keys):
        raise UserError(
            f"no factors for {name}",
            where=str(path),
            expected="A and B of every scored linear layer",
            hint="give the adapter that was trained on this model",
        )
    a, b = (tensors.pop(key).float() for key in keys)
    if (a.shape, b.shape) != ((rank, n_in), (n_out, rank)):
        raise UserError(
            f"factors of shapes {tuple(a.shape)} and {tuple(b.shape)} for {name}",
            where=str(path),
            expected=f"{(rank, n_in)} and {(n_out, rank)}",
            hint="give the adapter that was trained on this model",
        )
    return a, b


@contextmanager
def adapted(loaded: LoadedModel, adapter: LoraAdapter) -> Iterator[None]:
    """While open, the linears' weights are W + scaling B A, rounded to W's dtype once; after it they are W again, bit
    for bit.
    """
    modules = named_linears(loaded.model)
    kept: dict[Linear, Tensor] = {}
    try:
        for name, (a, b) in adapter.factors.items():
            weight = matrix_of(modules[name])
            kept[modules[name]] = weight.clone()
            weight.copy_(weight.float() + (b.to(weight.device) @ a.to(weight.device)) * adapter.scaling)
        yield
    finally:
        for module, original in kept.items():
            matrix_of(module).copy_(original)
