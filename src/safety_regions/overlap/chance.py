"""The chance floor: how far random regions would overlap."""

import numpy as np
from jaxtyping import Float64


def covered(n_layers: int, length: int) -> Float64[np.ndarray, " n_layers"]:
    """The share of the places of a range of `length` among `n_layers` at which it covers each layer."""
    starts = np.arange(n_layers - length + 1)[:, None]
    layers = np.arange(n_layers)
    return ((starts <= layers) & (layers < starts + length)).mean(axis=0)
