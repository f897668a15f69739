"""How far fine-tuning moved each matrix, inside and outside of some places."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from safety_regions.constraining.places import Places, Weights
from safety_regions.models.architecture import Projection


@dataclass(frozen=True)
class Moved:
    """Of one matrix; changes are sums of squares, in float64."""

    matrix: str
    n_weights: int
    n_inside: int
    change: float
    """Sum of (trained - aligned)^2 over all its weights."""
    change_inside: float
    """The same over the weights in the places."""


@torch.no_grad()
def moved(matrices: Sequence[Projection], aligned: Weights, places: Places) -> list[Moved]:
    """Every matrix in the order of the model, as it is now against the aligned one."""
    found = []
    for p in matrices:
        squares = (p.read().double() - aligned[p.module][p.rows].double()).square()
        inside = places[p.module][p.rows] if p.module in places else torch.zeros_like(squares, dtype=torch.bool)
        found.append(
            Moved(p.name, squares.numel(), int(inside.sum()), float(squares.sum()), float(squares[inside].sum()))
        )
    return found
