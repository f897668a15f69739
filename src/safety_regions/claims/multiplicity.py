"""Many verdicts at once: p-values adjusted so that what they decide holds for all of them together.

Every model and method has a verdict on every claim, and one in twenty intervals misses its truth. Of m p-values in
ascending order p_1 <= ... <= p_m

    Holm (1979)                    max over j <= i of min(1, (m - j + 1) p_j)   chance of any wrong verdict
    Benjamini and Hochberg (1995)  min over j >= i of min(1, m p_j / j)         expected share of wrong ones

A verdict remains decided where its adjusted p is below 1 - confidence. Verdicts without a p-value, and the p-values of
undecided ones, count as they are: the former not at all, the latter in m.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

Values = Float64[np.ndarray, " n"]


def holm(p_values: Values) -> Values:
    """Holm's adjusted p-values in the order given; NaN stays NaN and is not counted."""
    return _adjusted(p_values, lambda p, m: np.maximum.accumulate((m - np.arange(m)) * p))


def benjamini_hochberg(p_values: Values) -> Values:
    """Benjamini's and Hochberg's adjusted p-values in the order given; NaN stays NaN and is not counted."""
    return _adjusted(p_values, lambda p, m: np.minimum.accumulate((m / np.arange(1, m + 1) * p)[::-1])[::-1])


def _adjusted(p_values: Values, of_sorted: Callable[[Values, int], Values]) -> Values:
    defined = np.flatnonzero(~np.isnan(p_values))
    order = defined[np.argsort(p_values[defined], kind="stable")]
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.minimum(of_sorted(p_values[order], len(order)), 1.0)
    return adjusted
