"""What a region is made of: what its elements are, and which sets of them it can be."""

from typing import Literal, get_args

Granularity = Literal["weight", "neuron", "layer", "adapter"]
"""Single weights, neurons, whole layers, or weights of a LoRA adapter."""
Shape = Literal["free", "range"]
"""`free`: any elements; `range`: one contiguous range of layers."""
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)
SHAPES: tuple[Shape, ...] = get_args(Shape)


def usual_shape(granularity: str) -> Shape:
    """The shape that a region has unless its file says otherwise: a range of layers, free elements of all else."""
    return "range" if granularity == "layer" else "free"


def can_be(granularity: str, shape: Shape) -> bool:
    """Whether regions of these elements can have the shape: only layers are in a row."""
    return shape == "free" or granularity == "layer"
