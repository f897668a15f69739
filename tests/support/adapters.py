"""Adapters of random factors, and the weights of models before and after."""

import torch

from safety_regions.models.adapter import LoraAdapter, named_linears
from safety_regions.models.architecture import matrix_of


def random_adapter(model, rank=5, seed=1, scaling=0.5):
    """Factors drawn so that the adapter changes what every layer does."""
    draw = torch.Generator().manual_seed(seed)
    factors = {}
    for name, module in named_linears(model).items():
        n_out, n_in = matrix_of(module).shape
        factors[name] = (
            torch.randn(rank, n_in, generator=draw) * 0.2,
            torch.randn(n_out, rank, generator=draw) * 0.2,
        )
    return LoraAdapter(scaling, factors)


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
