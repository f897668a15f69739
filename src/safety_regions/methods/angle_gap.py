"""How far the last-token states of a set's prompts lie from those of harmless ones, and how far they would by chance.

Li et al. 2025, arXiv 2408.17003, section 3.2: the mean angle between a harmless prompt N_i and a prompt M_j of the set,
less that between two harmless prompts. The test is ours: two halves of one harmless set have gaps, too.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

CONFIDENCE = 0.95
"""Share of the permutations whose whole curve lies below the null curve."""
ROUNDING = 1e-7
"""Radians: angles between float32 states are not known better."""


@dataclass(frozen=True)
class Gap:
    """A gap by layer, in radians, and what it is tested against."""

    gap: Float64[np.ndarray, " layers"]
    null: Float64[np.ndarray, " layers"]
    """What a gap has to exceed. A curve of no difference exceeds it at any layer with a chance of 5%."""
    p_value: float
    """Chance of a curve that exceeds a null curve as far as this one does, if there is no difference."""


def measure_gap(
    normal: Float32[np.ndarray, "normal layers hidden"],
    own: Float32[np.ndarray, "own layers hidden"],
    n_permutations: int,
    seed: int,
) -> Gap:
    """The gap of each layer over all pairs of prompts, with its null from permuted labels. At least two normal prompts.

    gap_k = mean over i, j of angle(N_i, M_j) - mean over i < i' of angle(N_i, N_i'), radians, in float64. If the set is
    like the harmless one, which prompts are called N is of no matter, so the gaps of `n_permutations` random labellings
    (PCG64(seed)) of the same states, of standard deviation s_k, are what chance gives. The statistic of a curve is its
    largest gap_k / s_k; with c the `CONFIDENCE` quantile of it over the permutations and the curve itself, the null
    curve is c s_k. One statistic for all layers: they are not tested one by one.
    """
    n, m = len(normal), len(own)
    draw = np.random.Generator(np.random.PCG64(seed))
    is_normal = np.tile(np.arange(n + m) < n, (n_permutations + 1, 1))
    is_normal[1:] = draw.permuted(is_normal[1:], axis=1)
    gaps = np.stack(
        [_gaps(angles, is_normal.astype(float)) for angles in _angles(np.concatenate([normal, own]))], axis=1
    )
    # Where prompts have the same states, angles are of rounding alone: no gap counts that is not above it.
    spread = np.maximum(np.sqrt((gaps[1:] ** 2).mean(axis=0)), ROUNDING)
    relative = (gaps / spread).max(axis=1)
    critical = max(1.0, np.sort(relative[1:])[math.ceil(CONFIDENCE * (n_permutations + 1)) - 1])
    p_value = float((1 + (relative[1:] >= relative[0]).sum()) / (n_permutations + 1))
    return Gap(gaps[0], critical * spread, p_value)


def _angles(states: Float32[np.ndarray, "prompts layers hidden"]) -> Iterator[Float64[np.ndarray, "prompts prompts"]]:
    """Of each layer the angle between any two prompts, 0 of a prompt with itself; layer by layer, for their size."""
    for layer in range(states.shape[1]):
        of_layer = states[:, layer].astype(np.float64)
        lengths = np.linalg.norm(of_layer, axis=1, keepdims=True)
        directions = np.divide(of_layer, lengths, out=np.zeros_like(of_layer), where=lengths > 0)
        angles = np.arccos(np.clip(directions @ directions.T, -1, 1))
        np.fill_diagonal(angles, 0)
        yield angles


def _gaps(
    angles: Float64[np.ndarray, "prompts prompts"], is_normal: Float64[np.ndarray, "labellings prompts"]
) -> Float64[np.ndarray, " labellings"]:
    """The gap of each labelling: 1 for prompts that are called normal, 0 for the others; as many in each."""
    n = is_normal[0].sum()
    m = len(angles) - n
    to_normal = is_normal @ angles
    within = (to_normal * is_normal).sum(axis=1) / (n * (n - 1))
    between = (to_normal * (1 - is_normal)).sum(axis=1) / (n * m)
    return between - within
