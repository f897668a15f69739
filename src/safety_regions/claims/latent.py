"""What an overlap would be if sets were known without error: from IoU to correlation of scores, and back.

Two regions that hold the top fraction q of elements are two normal scores cut at the same height h, the upper
q-quantile. If r is the correlation of the scores, both regions hold an element with probability

    P(r) = q - 2 T(h, sqrt((1 - r) / (1 + r)))          (T: Owen 1956; r is the tetrachoric correlation, Pearson 1900)

and IoU = P / (2q - P). Two samples of one set correlate less than perfectly, and so two sets correlate less than they
would without sampling. With r_ab between halves of two sets, r_aa and r_bb between the two halves of each, all from as
many prompts, it would be

    r_ab / sqrt(r_aa r_bb)                              (Spearman 1904: correction for attenuation)
    k r_aa / (1 + (k - 1) r_aa)                         (Spearman 1910, Brown 1910: r_aa from k times the prompts)

q is read off the chance floor, q / (2 - q) for two regions of equal size: what is at the floor has r = 0.
"""

import numpy as np
from jaxtyping import Float64
from scipy import special

Values = Float64[np.ndarray, "..."]
Number = Values | float
N_HALVINGS = 50
"""Of the interval [-1, 1] in which a correlation is sought: its last bits."""
NODES = np.linspace(-9, 9, 4001)
"""Of what is common to all sets, near enough for regions that are next to equal."""


def share_of_floor(floor: Number) -> Values:
    """The fraction q of elements that two regions of equal size hold whose chance floor is q / (2 - q)."""
    floor = np.asarray(floor, float)
    return np.asarray(2 * floor / (1 + floor))


def iou_of_correlation(correlation: Number, share: Number) -> Values:
    """IoU of the top `share` of two normal scores with this correlation; both in [0, 1] or NaN."""
    correlation, share = np.asarray(correlation, float), np.asarray(share, float)
    return np.asarray(_iou(correlation, share, special.ndtri(1 - share)))


def _iou(correlation: Number, share: Number, height: Number) -> Number:
    """The same, `height` being where scores are cut."""
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.sqrt((1 - correlation) / (1 + correlation))
        both = share - 2 * special.owens_t(height, slope)
        return both / (2 * share - both)


def correlation_of_iou(iou: Number, share: Number) -> Values:
    """The correlation of two normal scores whose top `share` have this IoU, by bisection: IoU rises with it.

    NaN for what is undefined, and for a share that is not in (0, 1).
    """
    iou, share = np.broadcast_arrays(np.asarray(iou, float), np.asarray(share, float))
    low, high, height = np.full(iou.shape, -1.0), np.full(iou.shape, 1.0), special.ndtri(1 - share)
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        below = _iou(middle, share, height) < iou
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(np.isfinite(iou) & (share > 0) & (share < 1), high, np.nan)


def with_more_prompts(reliability: Values, times: float) -> Values:
    """The correlation of two samples of one set from `times` as many prompts (Spearman 1910, Brown 1910)."""
    return times * reliability / (1 + (times - 1) * reliability)


def iou_of_many(iou: float, floor: float, n_sets: int) -> Float64[np.ndarray, " n"]:
    """The IoU of the first n = 1, 2, ... of `n_sets` regions, every two of which have this IoU and floor.

    Their scores have one correlation r, as if each were sqrt(r) of what is common to all and the rest its own: an
    element with z of what is common is in each region with probability g(z) = Phi((sqrt(r) z - h) / sqrt(1 - r)), so in
    all with E g^n and in any with 1 - E (1 - g)^n. NaN if the two are less alike than chance.
    """
    share = share_of_floor(floor)
    correlation = float(correlation_of_iou(iou, share))
    n = np.arange(1, n_sets + 1)
    if not 0 <= correlation < 1:
        return np.full(n_sets, 1.0 if correlation >= 1 else np.nan)
    inside = special.ndtr((np.sqrt(correlation) * NODES - special.ndtri(1 - share)) / np.sqrt(1 - correlation))
    weights = np.exp(-(NODES**2) / 2)
    weights /= weights.sum()
    in_all, in_none = (weights @ part[:, None] ** n for part in (inside, 1 - inside))
    return in_all / (1 - in_none)
