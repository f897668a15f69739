"""What methods share that score neurons by the matrices which write what they compute to a layer's output.

Each layer has two kinds of them: `<layer>.ffn`, the channels of W_down, and `<layer>.v`, those of the value heads. A
channel of a value head is read by one channel of W_o for every query head that shares the head.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from safety_regions.models.architecture import Linear, layout_of, matrix_of, projections
from safety_regions.models.load import LoadedModel
from safety_regions.regions.select import Cut, select

Score = Callable[[str, Float[Tensor, "out channels"]], Float[Tensor, " channels"]]


def output_matrices(model: Any) -> dict[str, Linear]:
    """The matrices that read a layer's neurons, W_o and W_down, by what they read, in the order of the model."""
    names = {"o": "v", "down": "ffn"}
    return {f"{p.layer}.{names[p.kind]}": p.module for p in projections(model) if p.kind in names}


def neuron_levels(loaded: LoadedModel, score: Score, cut: Cut) -> Iterator[tuple[str, UInt8[np.ndarray, "1 neurons"]]]:
    """Levels of each layer's value and feed-forward neurons, one row per matrix, by `score(name, weight)` of the
    channels that the matrix reads; a value neuron has the sum of its channels'.
    """
    layout, matrices = layout_of(loaded.model), output_matrices(loaded.model)

    def score_of(name: str) -> np.ndarray:
        with loaded.layer(int(name.split(".")[0])):
            of_channels = score(name, matrix_of(matrices[name]))
        if name.endswith(".v"):
            heads = (layout.n_kv_heads, -1, layout.head_dim)
            of_channels = of_channels.unflatten(0, heads).sum(dim=1).flatten()
        return of_channels.float().numpy()[None]

    return select(list(matrices), score_of, cut)
