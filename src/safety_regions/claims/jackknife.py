"""Means over pairs of sets, and intervals that know that pairs share sets.

The mean IoU over the pairs of N sets is a U-statistic of degree 2 (Hoeffding 1948). Its N(N-1)/2 pairs are not
independent: every set takes part in N-1 of them, so one odd set moves them all. A t-test over pairs counts them as if
they were independent; its intervals are too short, and get worse with more sets. What is independent are the sets, so
they are what is left out:

    S_i       the statistic without set i
    variance  (N-1)/N sum((S_i - mean(S))^2)                               (Tukey 1958; Arvesen 1969)
    interval  S -+ t(N-1 degrees of freedom) sqrt(variance)

It speaks of sets like these, with the model, the number of prompts and the method held fixed. How well it covers is
measured in `benchmarks/claims_coverage.py`. Sets that agree exactly give an interval of no width.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64
from scipy import special

NAN = float("nan")
METHOD = "delete-one-set jackknife"


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; NaN where it is undefined."""

    value: float
    low: float = NAN
    high: float = NAN
    n_sets: int = 0
    error: float = NAN
    """Its standard error."""
    method: str = METHOD
    without: tuple[float, ...] = ()
    """The statistic without each set, in their order."""

    def p_value(self, threshold: float) -> float:
        """Two-sided p of a truth at the threshold, of t with N - 1 degrees of freedom: below 1 - confidence exactly
        where the interval, before it is cut off, leaves the threshold out. NaN without an error.
        """
        if np.isnan(self.error):
            return NAN
        if self.error == 0:
            return float(self.value == threshold)
        return float(2 * special.stdtr(self.n_sets - 1, -abs(self.value - threshold) / self.error))


Left = Float64[np.ndarray, " left"]
"""A statistic of all sets, then of all sets without the first, without the second, and so on; NaN where it is
undefined."""


def jackknife(left: Left, confidence: float = 0.95, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Estimate:
    """The statistic of all sets with its delete-one-set interval, cut off at `bounds`, the range of what is estimated.

    Without an interval (NaN) if the statistic is undefined without one of the sets, as a mean over pairs of two sets
    is.
    """
    value, without, n_sets = float(left[0]), left[1:], len(left) - 1
    if n_sets < 2 or not np.isfinite(left).all():
        return Estimate(value, n_sets=n_sets, without=tuple(without.tolist()))
    error = np.sqrt((n_sets - 1) / n_sets * np.square(without - without.mean()).sum())
    reach = special.stdtrit(n_sets - 1, (1 + confidence) / 2) * error
    low, high = np.clip([value - reach, value + reach], *bounds)
    return Estimate(value, float(low), float(high), n_sets, float(error), without=tuple(without.tolist()))


def moved_most(value: float, without: Mapping[str, float]) -> str | None:
    """The set without which a statistic is farthest from `value`, that of all sets; the first of equals.

    None where it is undefined without any of them.
    """
    moves = {name: abs(of - value) for name, of in without.items()}
    moves = {name: move for name, move in moves.items() if math.isfinite(move)}
    return max(moves, key=moves.__getitem__, default=None)


def square(table: pd.DataFrame, column: str, sets: list[str]) -> Float64[np.ndarray, "sets sets"]:
    """A column of a table of pairs `a`, `b` as a symmetric matrix: means of the defined values, NaN where there is
    none.
    """
    return symmetric(*sums_of_pairs(places(table, ("a", "b"), sets), table[column].to_numpy(float), len(sets)))


def places(table: pd.DataFrame, columns: tuple[str, ...], sets: list[str]) -> Int64[np.ndarray, "columns rows"]:
    """Where in `sets` the names in some columns stand; -1 for another name."""
    index = pd.Index(sets)
    return np.stack([index.get_indexer(table[column]) for column in columns]).astype(np.int64)


def sums_of_pairs(
    ends: Int64[np.ndarray, "2 rows"], values: Float64[np.ndarray, " rows"], n_sets: int
) -> Float64[np.ndarray, "2 sets sets"]:
    """Sum and number of the defined values of every pair, above the diagonal and on it."""
    # A pair may stand in a table as (a, b) here and as (b, a) there.
    low, high = np.sort(ends, axis=0)
    defined = (low >= 0) & ~np.isnan(values)
    pair = low[defined] * n_sets + high[defined]
    sums = [np.bincount(pair, of, minlength=n_sets**2) for of in (values[defined], np.ones(len(pair)))]
    return np.stack(sums).astype(float).reshape(2, n_sets, n_sets)


def symmetric(
    total: Float64[np.ndarray, "sets sets"], count: Float64[np.ndarray, "sets sets"]
) -> Float64[np.ndarray, "sets sets"]:
    """The mean of every pair from sum and number above the diagonal; NaN where there is none."""
    upper = np.divide(total, count, out=np.full(total.shape, NAN), where=count > 0)
    return np.where(np.isnan(upper), upper.T, upper)


def pair_means(matrix: Float64[np.ndarray, "sets sets"]) -> Left:
    """Mean over the defined pairs of different sets: of all sets, and without each."""
    values = np.where(np.eye(len(matrix), dtype=bool), NAN, matrix)
    defined = ~np.isnan(values)
    of_set, count = np.where(defined, values, 0).sum(axis=1), defined.sum(axis=1)
    return ratio(np.append(0, -2 * of_set) + of_set.sum(), np.append(0, -2 * count) + count.sum())


def triple_means(tensor: Float64[np.ndarray, "sets sets sets"]) -> Left:
    """Mean over the defined triples of a pair of sets and a third one: of all sets, and without each.

    `tensor[a, b, c]` is that of the pair (a, b), either way round, and c.
    """
    n_sets = len(tensor)
    a, b, c = np.meshgrid(*(np.arange(n_sets),) * 3, indexing="ij")
    defined = (a < b) & (c != a) & (c != b) & ~np.isnan(tensor)
    values, members = tensor[defined], np.stack([of[defined] for of in (a, b, c)])
    of_set, count = np.zeros(n_sets), np.zeros(n_sets)
    for member in members:
        np.add.at(of_set, member, values)
        np.add.at(count, member, 1)
    return ratio(np.append(0, -of_set) + values.sum(), np.append(0, -count) + len(values))


def set_means(matrix: Float64[np.ndarray, "sets sets"]) -> Left:
    """Mean over the defined values of each set with itself: of all sets, and without each."""
    values = np.diagonal(matrix)
    defined = ~np.isnan(values)
    of_set = np.where(defined, values, 0)
    return ratio(np.append(0, -of_set) + of_set.sum(), np.append(0, -1 * defined) + defined.sum())


def mean(values: Float64[np.ndarray, " values"]) -> float:
    """Mean of what is defined, NaN without anything."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else NAN


def ratio(part: np.ndarray, whole: np.ndarray) -> Float64[np.ndarray, " n"]:
    """NaN where the whole is zero, up to rounding, or undefined."""
    whole = np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(whole.shape, NAN), where=np.abs(whole) > 1e-12)
