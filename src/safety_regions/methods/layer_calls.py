"""What one layer of a decoder was called with for one batch, kept so that it can be called again."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass
class LayerCall:
    """The states that a layer read, on the host, and all else that it was called with."""

    states: Float[Tensor, "batch pos hidden"]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    device: torch.device
    """Where it read them."""


def call_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> LayerCall:
    """A layer's call; the first argument, or `hidden_states`, is what it reads."""
    others = dict(kwargs)
    states, *rest = args if args else (others.pop("hidden_states"),)
    return LayerCall(states.detach().cpu(), tuple(rest), others, states.device)
