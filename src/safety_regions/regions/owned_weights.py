"""From a region of any granularity to the weights it owns, one matrix at a time, on packed words.

What an element owns: a weight, itself; a neuron `<layer>.q` or `<layer>.k`, its row of W_q or W_k; `<layer>.v`, its row
of W_v and the columns of W_o that it feeds, one for every query head of its group; `<layer>.ffn`, its rows of W_gate
and W_up and its column of W_down; a layer, all seven matrices. Weights of an adapter own no weights of the model.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from safety_regions.errors import UserError
from safety_regions.regions.format import Region, Words, pack
from safety_regions.regions.masks import Masks, unpack

ROW_NEURONS = {"q": "q", "k": "k", "v": "v", "gate": "ffn", "up": "ffn"}
"""Kind of matrix -> the neurons that own its rows."""


@dataclass(frozen=True)
class Layout:
    """The shapes of a model's scored matrices and how its attention heads share them."""

    shapes: dict[str, tuple[int, int]]
    """`<layer>.<kind>` -> (output rows, input channels), in the order of the model."""
    n_heads: int
    n_kv_heads: int
    head_dim: int

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.shapes) // len(KINDS)


def make_layout(shapes: dict[str, tuple[int, int]], n_heads: int) -> Layout:
    """The layout of a model with these matrices and number of query heads, from which the rest follows."""
    head_dim = shapes["0.q"][0] // n_heads
    return Layout(shapes, n_heads, shapes["0.k"][0] // head_dim, head_dim)


def own_shapes(granularity: str, layout: Layout) -> dict[str, tuple[int, int]]:
    """The matrices of a region of this granularity: `weight`, `neuron` or `layer`."""
    if granularity == "weight":
        return layout.shapes
    if granularity == "layer":
        return {f"{layer}.layer": (1, 1) for layer in range(layout.n_layers)}
    rows = {"q": "q", "k": "k", "v": "v", "ffn": "gate"}
    return {
        f"{layer}.{kind}": (1, layout.shapes[f"{layer}.{rows[kind]}"][0])
        for layer in range(layout.n_layers)
        for kind in rows
    }


def check_fits(region: Region, layout: Layout) -> None:
    """Raise `UserError` if a region owns no weights, or has other matrices than a region of this model has."""
    granularity = region.header.granularity
    if granularity == "adapter":
        raise UserError(
            "a region of adapter weights owns no weights of the model",
            where=str(region.path),
            expected="a region of weights, neurons or layers",
        )
    if region.header.shapes != own_shapes(granularity, layout):
        raise UserError(
            "its matrices are not those of this model",
            where=str(region.path),
            expected=f"{len(layout.shapes)} matrices' {granularity}s",
            hint="regions of different models cannot be compared",
        )


def expand(name: str, masks: Masks, granularity: str, layout: Layout) -> Words:
    """Packed mask over the weights of the model's matrix `name` of what the region's elements own."""
    if granularity == "weight":
        return masks(name)
    return pack(_owned(name, masks, granularity, layout))


def _owned(name: str, masks: Masks, granularity: str, layout: Layout) -> Bool[np.ndarray, "rows columns"]:
    layer, kind = name.split(".")
    shape = layout.shapes[name]
    if granularity == "layer":
        return np.full(shape, unpack(masks(f"{layer}.layer"), (1, 1))[0, 0])
    if kind in ROW_NEURONS:
        neurons = unpack(masks(f"{layer}.{ROW_NEURONS[kind]}"), (1, shape[0]))
        return np.broadcast_to(neurons.T, shape)
    if kind == "down":
        return np.broadcast_to(unpack(masks(f"{layer}.ffn"), (1, shape[1])), shape)
    neurons = unpack(masks(f"{layer}.v"), (layout.n_kv_heads, layout.head_dim))
    # Query head h reads key and value head h // group, so each value head's neurons stand behind one another group
    # times.
    columns = np.repeat(neurons, layout.n_heads // layout.n_kv_heads, axis=0).reshape(1, -1)
    return np.broadcast_to(columns, shape)


KINDS = ("q", "k", "v", "o", "gate", "up", "down")
