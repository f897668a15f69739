"""The rules of SafeLayer: where the gap between prompts begins, and which range of layers decides over refusals.

Li et al. 2025, arXiv 2408.17003, section 3. Its authors read the beginning off a plot; `onset_and_smoothing` is ours,
and so is `share_alike`, which tells how much of a range the choice of prompts decides.
Layers are counted from 0 and ranges hold both ends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

Refusals = Callable[[int, int, float], Bool[np.ndarray, " prompts"]]
"""Which of the over-rejection prompts are refused while layers first to last are scaled by alpha."""

N_DRAWS = 1000
"""Of prompts, for `share_alike`."""
ONSET = 0.1
"""Share of a curve's largest rise at which the gap has begun."""
SMOOTH = 0.25
"""Share of the largest growth from one layer to the next below which a curve is smooth."""
NOT_TRIED = -1


def onset_and_smoothing(
    gap: Float64[np.ndarray, " layers"], null: Float64[np.ndarray, " layers"]
) -> tuple[int, int] | None:
    """The layer where the gap (radians) begins and the first at which it has become smooth; None for no gap.

    A gap counts at the layers where it exceeds `null` (`safety_regions.methods.angle_gap`); None if it does at none.
    With gap_(-1) = 0: the rise of layer k is gap_k minus the least of gap_(-1) ... gap_k, its growth is gap_k -
    gap_(k-1). Onset: the first layer that counts whose rise is at least `ONSET` times the largest rise of those that
    count. Smoothing: the first layer behind the one of largest growth (from the onset on; ties: the lowest) with a
    growth below `SMOOTH` times it; the last layer if there is none.
    """
    counts = gap > null
    if not counts.any():
        return None
    curve = np.concatenate([[0.0], gap])
    rise = (curve - np.minimum.accumulate(curve))[1:]
    growth = np.diff(curve)
    onset = int(np.argmax(counts & (rise >= ONSET * rise[counts].max())))
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
    alike: float
    """`share_alike`; -1 where nothing was tried."""


def find_range(
    refusals: Refusals,
    onset: int,
    n_layers: int,
    n_prompts: int,
    alphas: Sequence[float],
    least_spread: float,
    *,
    refuses: bool,
    seed: int,
) -> Found:
    """The range whose scaling changes refusals most: first its upper bound, from the onset on, then its lower one.

    The first alpha is taken whose refusals R(onset, b) over b = onset ... n_layers - 1 have a (population) standard
    deviation of at least least_spread * n_prompts; the last alpha if none has. last = argmax_b R(onset, b), ties: the
    lowest b. first = argmax_a R(a, last) over a = 0 ... last, ties: the highest a, so the smallest range. For a model
    that already `refuses`, both are argmin. `seed`: of the draws of `share_alike`.
    """
    upper, lower = np.full((2, n_layers), NOT_TRIED, np.int64)
    for alpha in alphas:
        above = np.stack([refusals(onset, b, alpha) for b in range(onset, n_layers)])
        upper[onset:] = above.sum(axis=1)
        spread = float(np.std(upper[onset:] / n_prompts))
        if spread >= least_spread:
            break
    sign = -1 if refuses else 1
    last = onset + int(np.argmax(sign * upper[onset:]))
    below = np.stack([refusals(a, last, alpha) for a in range(last + 1)])
    lower[: last + 1] = below.sum(axis=1)
    first = last - int(np.argmax(sign * lower[last::-1]))
    alike = share_alike(sign * above, sign * below[::-1], least_spread, seed)
    return Found(first, last, alpha, spread, upper, lower, alike)


def share_alike(
    above: Int64[np.ndarray, "uppers prompts"],
    below: Int64[np.ndarray, "lowers prompts"],
    least_spread: float,
    seed: int,
) -> float:
    """The share of `N_DRAWS` draws of the prompts, with replacement, PCG64(seed), that tell the same range.

    `above`, `below`: what a prompt adds to the sum that is largest at the upper and at the lower bound, in the order in
    which ties are settled. Where the spread over the upper bounds is below the least one, a draw tells the same if its
    own is, too. Scale and sweeps stay those of all prompts: a draw with another upper bound counts as another range.
    """
    n = above.shape[1]
    times_drawn = np.random.Generator(np.random.PCG64(seed)).multinomial(n, np.full(n, 1 / n), N_DRAWS)
    uppers, lowers = (np.concatenate([np.ones((1, n), np.int64), times_drawn]) @ of.T for of in (above, below))
    # First stand all prompts, once each.
    differs = np.std(uppers / n, axis=1) >= least_spread
    bounds = np.stack([uppers.argmax(axis=1), lowers.argmax(axis=1)], axis=1)
    same = (differs == differs[0]) & ((bounds == bounds[0]).all(axis=1) | ~differs[0])
    return float(same[1:].mean())
