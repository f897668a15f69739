"""Some of a model's scored weights: where they are, their values, and a digest of their bits."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from safety_regions.models.architecture import Linear, Projection, linears, matrix_of
from safety_regions.regions.masks import Masks, unpack

Places = Mapping[Linear, Bool[Tensor, "out in"]]
"""By linear module: True at the weights that are meant. Modules that are not in it have none."""
Weights = Mapping[Linear, Float[Tensor, "out in"]]


def places_of(matrices: Sequence[Projection], masks: Masks) -> dict[Linear, Bool[Tensor, "out in"]]:
    """The weights in the masks (packed, one for each matrix) on the linear modules that hold the matrices."""
    places = {module: torch.zeros_like(matrix_of(module), dtype=torch.bool) for module in linears(matrices)}
    for p in matrices:
        places[p.module][p.rows] = torch.from_numpy(unpack(masks(p.name), p.shape)).to(p.module.weight.device)
    return places


def n_weights(places: Places) -> int:
    """How many weights are meant."""
    return sum(int(inside.sum()) for inside in places.values())


def copied(matrices: Sequence[Projection]) -> dict[Linear, Float[Tensor, "out in"]]:
    """The values that the modules' weights have now."""
    return {module: matrix_of(module).clone() for module in linears(matrices)}


@torch.no_grad()
def put_back(weights: Weights, places: Places | None = None) -> None:
    """Give the weights in the places these values again, bit for bit; the others stay as they are. None: give all."""
    for module, values in weights.items():
        if places is None:
            matrix_of(module).copy_(values)
        elif module in places:
            matrix = matrix_of(module)
            matrix.copy_(torch.where(places[module], values, matrix))


def sha256_of_bits(places: Places) -> str:
    """Of the weights in the places as they are now, module after module, row after row."""
    digest = hashlib.sha256()
    for module, inside in places.items():
        digest.update(matrix_of(module)[inside].cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
