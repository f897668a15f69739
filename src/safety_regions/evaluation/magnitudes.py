"""How large the elements of a method are: weights, weights of an adapter, or neurons by what they own."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from safety_regions.models.adapter import LoraAdapter
from safety_regions.models.architecture import Projection
from safety_regions.regions.owned_weights import NEURONS, ROW_KINDS, Layout
from safety_regions.regions.random_regions import Magnitudes


def of_weights(matrices: Sequence[Projection]) -> Magnitudes:
    """|W| of every weight."""
    by_name = {p.name: p for p in matrices}
    return lambda own: np.abs(_weight(by_name[own]))


def of_entries(adapter: LoraAdapter) -> Magnitudes:
    """|A| and |B| of every entry of an adapter's factors."""
    factors = {
        f"{name}_{factor}": m for name, pair in adapter.factors.items() for factor, m in zip("ab", pair, strict=True)
    }
    return lambda own: np.abs(factors[own].float().cpu().numpy())


def of_neurons(matrices: Sequence[Projection], layout: Layout) -> Magnitudes:
    """The Euclidean norm of all weights that a neuron owns."""

    def norms(own: str) -> Float32[np.ndarray, "1 neurons"]:
        layer, neurons = own.split(".")
        owning = [p for p in matrices if p.name.split(".")[0] == layer and NEURONS[p.kind] == neurons]
        return np.sqrt(np.sum([_squares(p, layout) for p in owning], axis=0, dtype=np.float32))[None]

    return norms


def _squares(p: Projection, layout: Layout) -> Float32[np.ndarray, " neurons"]:
    """Sums of squares over the row, or over the columns, that each neuron owns of a matrix."""
    squares = np.square(_weight(p))
    if p.kind in ROW_KINDS:
        return squares.sum(axis=1)
    columns = squares.sum(axis=0)
    if p.kind == "down":
        return columns
    # The query heads of a group read the same value head (`regions.owned_weights.expand`).
    return columns.reshape(layout.n_kv_heads, -1, layout.head_dim).sum(axis=1).reshape(-1)


def _weight(p: Projection) -> Float32[np.ndarray, "rows columns"]:
    return p.read().float().cpu().numpy()
