"""From a region of any granularity to the weights it owns, one matrix at a time, on packed words.

What an element owns: a weight, itself; a neuron `<layer>.q` or `<layer>.k`, its row of W_q or W_k; `<layer>.v`, its row
of W_v and the columns of W_o that it feeds, one for every query head of its group; `<layer>.ffn`, its rows of W_gate
(where there is one) and W_up and its column of W_down; a layer, all its matrices. Weights of an adapter own no weights
of the model.

A region may leave kinds of matrices out, in all layers: what those would own is in none of its masks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from safety_regions.errors import UserError
from safety_regions.regions.format import Header, Region, Words, kind_of, pack
from safety_regions.regions.masks import Masks, unpack

NEURONS = {"q": "q", "k": "k", "v": "v", "o": "v", "gate": "ffn", "up": "ffn", "down": "ffn"}
"""Kind of matrix -> the neurons that own its rows; of o and down, its columns."""
ROW_KINDS = ("q", "k", "v", "gate", "up")


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
        return len({name.split(".")[0] for name in self.shapes})


def make_layout(shapes: dict[str, tuple[int, int]], n_heads: int) -> Layout:
    """The layout of a model with these matrices and number of query heads, from which the rest follows."""
    head_dim = shapes["0.q"][0] // n_heads
    return Layout(shapes, n_heads, shapes["0.k"][0] // head_dim, head_dim)


def own_shapes(granularity: str, layout: Layout) -> dict[str, tuple[int, int]]:
    """The matrices that a region of this granularity can have: `weight`, `neuron` or `layer`."""
    if granularity == "weight":
        return layout.shapes
    if granularity == "layer":
        return {f"{layer}.layer": (1, 1) for layer in range(layout.n_layers)}
    rows = {"q": "q", "k": "k", "v": "v", "ffn": "up"}
    return {
        f"{layer}.{kind}": (1, layout.shapes[f"{layer}.{rows[kind]}"][0])
        for layer in range(layout.n_layers)
        for kind in rows
    }


def of_kinds(shapes: Mapping[str, tuple[int, int]], held: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Those of a model's matrices whose kind one of the `held` matrices has."""
    kinds = {kind_of(name) for name in held}
    return {name: shape for name, shape in shapes.items() if kind_of(name) in kinds}


def fitting(
    levels: Iterable[tuple[str, UInt8[np.ndarray, "rows columns"]]], shapes: Mapping[str, tuple[int, int]], where: str
) -> Iterator[tuple[str, UInt8[np.ndarray, "rows columns"]]]:
    """The levels that a method gives, as they come, if they are a region of a model with these matrices.

    Raises `UserError` for a matrix that the model has not, or of another shape; and at the end if they are none, or not
    those of every layer for each kind that there is, each once.
    """
    given: list[str] = []
    for name, matrix in levels:
        if shapes.get(name) != matrix.shape:
            raise UserError(
                f"levels of a matrix {name} of shape {matrix.shape}",
                where=where,
                expected=f"shape {shapes[name]}" if name in shapes else "matrices of the model",
                hint="this is a mistake in the method's `levels`",
            )
        given.append(name)
        yield name, matrix
    if not given or sorted(given) != sorted(of_kinds(shapes, given)):
        raise UserError(
            f"levels of the matrices {', '.join(given) or 'none'}",
            where=where,
            expected=f"each of these once: {', '.join(of_kinds(shapes, given) or shapes)}",
            hint="this is a mistake in the method's `levels`: a kind is left out in all layers or in none",
        )


def check_fit(regions: Sequence[Region], layout: Layout) -> Header:
    """The header of the first of a method's regions, whose matrices all the others have too.

    Raises `UserError` if a region owns no weights, or has other matrices than the others or than this model.
    """
    first = regions[0].header
    for region in regions:
        check_owner(region.header, layout, str(region.path))
        if (region.header.granularity, region.header.shapes) != (first.granularity, first.shapes):
            raise UserError(
                f"its matrices are not those of {regions[0].path}",
                where=str(region.path),
                expected="regions of one method",
            )
    return first


def check_owner(header: Header, layout: Layout, where: str = "") -> None:
    """Raises `UserError` for a region that owns no weights, or has other matrices than this model."""
    granularity = header.granularity
    if granularity == "adapter":
        raise UserError(
            "a region of adapter weights owns no weights of the model",
            where=where,
            expected="a region of weights, neurons or layers",
        )
    if header.shapes != of_kinds(own_shapes(granularity, layout), header.shapes):
        raise UserError(
            "its matrices are not those of this model",
            where=where,
            expected=f"{len(layout.shapes)} matrices' {granularity}s, all of a kind or none",
            hint="regions of different models cannot be compared",
        )


def expand(name: str, masks: Masks, header: Header, layout: Layout) -> Words:
    """Packed mask of what a region's elements own of the model's matrix `name`; the header is the region's."""
    if header.granularity == "weight":
        return masks(name) if name in header.shapes else pack(np.zeros(layout.shapes[name], bool))
    return pack(_owned(name, masks, header, layout))


def _owned(name: str, masks: Masks, header: Header, layout: Layout) -> Bool[np.ndarray, "rows columns"]:
    layer, kind = name.split(".")
    shape = layout.shapes[name]
    owner = f"{layer}.{'layer' if header.granularity == 'layer' else NEURONS[kind]}"
    if owner not in header.shapes:
        return np.zeros(shape, bool)
    if header.granularity == "layer":
        return np.full(shape, unpack(masks(owner), (1, 1))[0, 0])
    if kind in ROW_KINDS:
        return np.broadcast_to(unpack(masks(owner), (1, shape[0])).T, shape)
    if kind == "down":
        return np.broadcast_to(unpack(masks(owner), (1, shape[1])), shape)
    neurons = unpack(masks(owner), (layout.n_kv_heads, layout.head_dim))
    # Query head h reads key and value head h // group, so each value head's neurons stand behind one another group
    # times.
    columns = np.repeat(neurons, layout.n_heads // layout.n_kv_heads, axis=0).reshape(1, -1)
    return np.broadcast_to(columns, shape)


KINDS = ("q", "k", "v", "o", "gate", "up", "down")
