"""Some of a model's scored weights: where they are, their values, and a digest of their bits."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from safety_regions.models.architecture import Projection, linears
from safety_regions.regions.masks import Masks, unpack

Places = Mapping[nn.Linear, Bool[Tensor, "out in"]]
"""By linear module: True at the weights that are meant. Modules that are not in it have none."""
Weights = Mapping[nn.Linear, Float[Tensor, "out in"]]


def places_of(matrices: Sequence[Projection], masks: Masks) -> dict[nn.Linear, Bool[Tensor, "out in"]]:
    """The weights in the masks (packed, one for each matrix) on the linear modules that hold the matrices."""
    places = {
        module: torch.zeros_like(module.weight, dtype=torch.bool, requires_grad=False) for module in linears(matrices)
    }
    for p in matrices:
        places[p.module][p.rows] = torch.from_numpy(unpack(masks(p.name), p.shape)).to(p.module.weight.device)
    return places


def n_weights(places: Places) -> int:
    """How many weights are meant."""
    return sum(int(inside.sum()) for inside in places.values())


def copied(matrices: Sequence[Projection]) -> dict[nn.Linear, Float[Tensor, "out in"]]:
    """The values that the modules' weights have now."""
    return {module: module.weight.detach().clone() for module in linears(matrices)}


@torch.no_grad()
def put_back(weights: Weights, places: Places | None = None) -> None:
    """Give the weights in the places these values again, bit for bit; the others stay as they are. None: give all."""
    for module, values in weights.items():
        if places is None:
            module.weight.copy_(values)
        elif module in places:
            module.weight.copy_(torch.where(places[module], values, module.weight))


def sha256_of_bits(places: Places) -> str:
    """Of the weights in the places as they are now, module after module, row after row."""
    digest = hashlib.sha256()
    for module, inside in places.items():
        digest.update(module.weight.detach()[inside].cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
