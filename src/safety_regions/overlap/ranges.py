"""Random ranges of layers: their mean IoU over all the places that they could have.

Two ranges of 3 among 30 layers share nothing at most places and nearly everything at few. So their expected
intersection over their expected union says little of their IoU: .055, where the mean IoU is .083. What is given here is
the mean, over all places of all ranges, each as likely as any other.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float64, Int64, Num

NAN = float("nan")
Spans = tuple[Int64[np.ndarray, " spans"], Int64[np.ndarray, " spans"], Int64[np.ndarray, " spans"]]
"""Every layer with every first and last layer around it: (layer, first, last)."""


def placements(n_layers: int, length: int) -> Bool[np.ndarray, "places layers"]:
    """The layers of a range of `length` at each of its places among `n_layers`. An empty range has no place."""
    starts = np.arange(n_layers - length + 1 if length else 0)[:, None]
    layers = np.arange(n_layers)
    return (starts <= layers) & (layers < starts + length)


def covered(n_layers: int, length: int) -> Float64[np.ndarray, " layers"]:
    """The share of the places of a range of `length` among `n_layers` at which it covers each layer."""
    return placements(n_layers, length).sum(axis=0) / (n_layers - length + 1)


def expected_iou(n_open: Num[np.ndarray, " layers"], lengths: Int64[np.ndarray, " ranges"]) -> float:
    """Mean IoU of independent random ranges of these lengths, exact up to rounding.

    `n_open`: 1 for each layer that a range may hold, 0 for one that refinement takes out of all of them. Places at
    which no range holds a layer have no IoU and are left out. NaN if there are no others, or if a range is empty.

    A layer k in all ranges makes their union one stretch, from the lowest first to the highest last layer. So with
    P_k(a, b) the chance that all ranges cover k and lie within a ... b, and 1 / w(a, b) the open layers of a ... b,

        E[IoU] = sum over k of sum over a <= k <= b of p_k(a, b) w(a, b),
        p_k(a, b) = P_k(a, b) - P_k(a+1, b) - P_k(a, b-1) + P_k(a+1, b-1),

    for which the same differences are taken of w in place of P. P_k is a product over the ranges.
    """
    # The order of the ranges has no say, so what several orders of the sets ask for is summed once.
    return _expected_iou(tuple(n_open.astype(int).tolist()), tuple(sorted(lengths.tolist())))


@lru_cache(maxsize=2**16)
def _expected_iou(n_open: tuple[int, ...], lengths: tuple[int, ...]) -> float:
    if 0 in lengths:
        return NAN
    n_layers, is_open = len(n_open), np.array(n_open, float)
    without_any = np.prod([(placements(n_layers, length) @ is_open == 0).mean() for length in lengths])
    if without_any == 1:
        return NAN
    within = np.prod([_shares_within(n_layers, length) for length in lengths], axis=0)
    return float(within @ _weights(n_open) / (1 - without_any))


@lru_cache(maxsize=8)
def _spans(n_layers: int) -> Spans:
    layer, first, last = np.indices((n_layers,) * 3).reshape(3, -1)
    around = (first <= layer) & (layer <= last)
    return layer[around], first[around], last[around]


@lru_cache(maxsize=256)
def _shares_within(n_layers: int, length: int) -> Float64[np.ndarray, " spans"]:
    """The share of the places of a range at which it covers the layer and lies within the span, for each of these."""
    layer, first, last = _spans(n_layers)
    lowest, highest = np.maximum(first, layer - length + 1), np.minimum(layer, last - length + 1)
    return np.maximum(highest - lowest + 1, 0) / (n_layers - length + 1)


@lru_cache(maxsize=256)
def _weights(n_open: tuple[int, ...]) -> Float64[np.ndarray, " spans"]:
    """What P_k(a, b) counts in the sum: the differences of w, for open layers."""
    n_layers, is_open = len(n_open), np.array(n_open)
    before = np.concatenate([[0], np.cumsum(is_open)])
    n_inside = before[None, 1:] - before[:-1, None]
    # With a margin where nothing is: no span begins before the first layer or ends behind the last.
    w = np.zeros((n_layers + 1, n_layers + 1))
    np.divide(1, n_inside, out=w[1:, :-1], where=n_inside > 0)
    differences = w[1:, :-1] - w[:-1, :-1] - w[1:, 1:] + w[:-1, 1:]
    layer, first, last = _spans(n_layers)
    return differences[first, last] * is_open[layer]
