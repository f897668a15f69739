"""The rules of SafeLayer: where the gap between prompts begins, and which range of layers decides over refusals.

Li et al. 2025, arXiv 2408.17003, section 3. Its authors read the beginning off a plot; `onset_and_smoothing` is ours.
Layers are counted from 0 and ranges hold both ends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

Count = Callable[[int, int, float], int]
"""Refusals among the over-rejection prompts while layers first to last are scaled by alpha."""

FLAT = 0.01
"""Radians (about half a degree). A curve that never rises by more has no onset."""
ONSET = 0.1
"""Share of a curve's largest rise at which the gap has begun."""
SMOOTH = 0.25
"""Share of the largest growth from one layer to the next below which a curve is smooth."""
NOT_TRIED = -1


def onset_and_smoothing(gap: Float64[np.ndarray, " layers"]) -> tuple[int, int] | None:
    """The layer where the gap (radians) begins and the first at which it has become smooth; None for no gap.

    With gap_(-1) = 0: the rise of layer k is gap_k minus the least of gap_(-1) ... gap_k, its growth is gap_k -
    gap_(k-1). Onset: the first layer whose rise is at least `ONSET` times the largest rise. Smoothing: the first layer
    behind the one of largest growth (from the onset on; ties: the lowest) with a growth below `SMOOTH` times it; the
    last layer if there is none. None where the largest rise is at most `FLAT`, or no gap is positive.
    """
    curve = np.concatenate([[0.0], gap])
    rise = (curve - np.minimum.accumulate(curve))[1:]
    growth = np.diff(curve)
    if rise.max() <= FLAT or gap.max() <= 0:
        return None
    onset = int(np.argmax(rise >= ONSET * rise.max()))
    steepest = onset + int(np.argmax(growth[onset:]))
    smooth = np.flatnonzero(growth[steepest + 1 :] < SMOOTH * growth[steepest])
    return onset, steepest + 1 + int(smooth[0]) if len(smooth) else len(gap) - 1


def scales(step: float, n_steps: int, *, refuses: bool) -> list[float]:
    """1 + step, 1 + 2 step, ... for a model that refuses little; 1 - step, ... as long as positive for one that
    does.
    """
    moves = [step * i for i in range(1, n_steps + 1)]
    return [round(1 - move, 9) for move in moves if move < 1] if refuses else [round(1 + move, 9) for move in moves]


@dataclass(frozen=True)
class Found:
    """A range of layers and the counts that led to it."""

    first: int
    last: int
    alpha: float
    """The scale that both searches used."""
    spread: float
    """Standard deviation over the upper bounds of the share of prompts refused; below the least one if no scale reached
    it."""
    upper: Int64[np.ndarray, " layers"]
    """Refusals with layers onset to b scaled, for each b; -1 where not tried."""
    lower: Int64[np.ndarray, " layers"]
    """Refusals with layers a to `last` scaled, for each a; -1 where not tried."""


def find_range(
    count: Count,
    onset: int,
    n_layers: int,
    n_prompts: int,
    alphas: Sequence[float],
    least_spread: float,
    *,
    refuses: bool,
) -> Found:
    """The range whose scaling changes refusals most: first its upper bound, from the onset on, then its lower one.

    The first alpha is taken whose refusals R(onset, b) over b = onset ... n_layers - 1 have a (population) standard
    deviation of at least least_spread * n_prompts; the last alpha if none has. last = argmax_b R(onset, b), ties: the
    lowest b. first = argmax_a R(a, last) over a = 0 ... last, ties: the highest a, so the smallest range. For a model
    that already `refuses`, both are argmin.
    """
    for alpha in alphas:
        upper = np.full(n_layers, NOT_TRIED, np.int64)
        upper[onset:] = [count(onset, b, alpha) for b in range(onset, n_layers)]
        spread = float(np.std(upper[onset:] / n_prompts))
        if spread >= least_spread:
            break
    sign = -1 if refuses else 1
    last = onset + int(np.argmax(sign * upper[onset:]))
    lower = np.full(n_layers, NOT_TRIED, np.int64)
    lower[: last + 1] = [count(a, last, alpha) for a in range(last + 1)]
    first = last - int(np.argmax(sign * lower[last::-1]))
    return Found(first, last, alpha, spread, upper, lower)
