"""The chance floor: how far independent random regions would overlap.

What is random about a region follows from its shape:

    free   as many elements of every matrix as the real region, each open one with equal chance: s = a/m for the a it
           holds of the m that are open. Layers are elements of the whole model: a of its m open layers.
    range  as many layers as the real region, beginning with equal chance wherever they fit: s is the share of these
           places at which the range covers the layer, 0 for a layer that is not open.

With s_i the chance that random region i holds an element that is open to it, n regions share sum(prod(s_i)) elements on
average, and sum(1 - prod(1 - s_i)) are in any. The floor of free elements is the ratio of the two. For equal densities
q it is q/(2-q), and q^n / (1 - (1-q)^n) for n regions. It is not the mean IoU of random regions, which has no closed
form for many matrices of different densities, but near it, since sums of many elements hardly vary. At q = 5% the ratio
is too low by 7e-7 (of .026) for one matrix of 576 x 576 weights and by .0004 for 576 neurons of one kind in one layer;
for the whole model by less. For 3 of 30 free layers it is too low by .009 (of .062).

The floor of ranges is the mean IoU over all their places (`safety_regions.overlap.ranges`), and the floor between a
range and free elements the mean over the range's places of the ratio.

Refinement closes what the utility region holds. A range has the length that it had before: what refinement leaves of
it need not be one. An empty range has no floor.
"""

import numpy as np
from jaxtyping import Float64, Int64, Num

from safety_regions.elements import Shape
from safety_regions.overlap.ranges import covered, placements

Elements = Num[np.ndarray, " matrices"]
"""Elements of each matrix that a region could hold."""
Sizes = Num[np.ndarray, "matrices sets"]
Chances = Float64[np.ndarray, "matrices sets"]
"""Of each matrix and region; or, as sums over elements, the numbers that follow from these."""
Placed = Float64[np.ndarray, "places matrices"]
"""The chance with which a random region holds an open element of each matrix, for each of its places."""


def chances(granularity: str, shape: Shape, *, held: Sizes, raw: Sizes, n_open: Elements) -> Chances:
    """The chance with which a random region in each set's place holds an open element of each matrix.

    `held`: elements of each set's region as it is looked at, `raw`: before refinement. For layers every matrix is one
    layer of one element.
    """
    if shape == "range":
        lengths: Int64[np.ndarray, " sets"] = raw.sum(axis=0).astype(np.int64)
        return np.stack([covered(len(n_open), int(n)) for n in lengths], axis=1) * n_open[:, None]
    if granularity == "layer":
        return n_open[:, None] * _share(held.sum(axis=0), n_open.sum(keepdims=True))
    return _share(held, n_open[:, None])


def placed(granularity: str, shape: Shape, *, held: Elements, raw: Elements, n_open: Elements) -> Placed:
    """As `chances`, of one region: 0 and 1 at each place of a range; of free elements one row, their chances."""
    if shape == "range":
        return placements(len(n_open), int(raw.sum())) * np.asarray(n_open, float)
    return chances(granularity, shape, held=held[:, None], raw=raw[:, None], n_open=n_open).T


def expected_iou(
    a: Float64[np.ndarray, "places_a matrices"],
    b: Float64[np.ndarray, "places_b matrices"],
    *,
    both: Elements,
    open_a: Elements,
    open_b: Elements,
) -> float:
    """Mean over the places of two random regions of expected intersection over expected union.

    `both`, `open_a`, `open_b`: elements of each matrix open to both and to each of them. Places without a union are
    left out; NaN if there are no others.
    """
    shared = np.einsum("am,bm,m->ab", a, b, np.asarray(both, float))
    union = (a @ open_a)[:, None] + (b @ open_b)[None] - shared
    some = union > 0
    return float((shared[some] / union[some]).mean()) if some.any() else float("nan")


def expected_pair(n_open: Elements, a: Chances, b: Chances) -> tuple[Chances, Chances]:
    """Elements of each matrix in both, and in either, of the random regions of each pair of columns of `a` and `b`."""
    both = n_open[:, None] * a * b
    return both, n_open[:, None] * (a + b) - both


def expected_growth(n_open: Elements, of: Chances) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Elements of all matrices in each, and in any, of the first n = 1, 2, ... random regions, in the order of the
    columns of `of`.
    """
    weights = n_open[:, None]
    in_all = (weights * np.cumprod(of, axis=1)).sum(axis=0)
    in_none = (weights * np.cumprod(1 - of, axis=1)).sum(axis=0)
    return in_all, weights.sum() - in_none


def expected_agreement(n_open: Elements, of: Chances) -> Float64[np.ndarray, " sets"]:
    """Elements of all matrices in at least 1, 2, ... all of the random regions."""
    # exactly[:, k]: the chance that k of the regions so far hold an element of each matrix.
    exactly = np.ones((len(n_open), 1))
    for chance in of.T[:, :, None]:
        exactly = np.pad(exactly * (1 - chance), ((0, 0), (0, 1))) + np.pad(exactly * chance, ((0, 0), (1, 0)))
    at_least = np.cumsum(exactly[:, :0:-1], axis=1)[:, ::-1]
    return np.asarray(n_open, float) @ at_least


def expected_in_any(n_open: Elements, of: Chances) -> Float64[np.ndarray, " n"]:
    """The second of `expected_growth`, without loss where it is a small part of all elements."""
    return n_open @ (1 - np.cumprod(1 - of, axis=1))


def _share(part: Num[np.ndarray, "..."], whole: Num[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Part of whole, 0 where there is nothing."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
