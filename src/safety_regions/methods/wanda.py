"""Wanda for safety: I(W)_ij = |W_ij| * ||X_j||_2, X_j the j-th input channel over the response tokens of all samples.

Sun et al. 2023, arXiv 2306.11695, eq. 1; for safety Wei et al. 2024, arXiv 2402.05162, eq. 3. The norm is
sqrt(s_j), s_j = (1/N) sum over samples n and response tokens t of x_ntj^2. Only s_j depends on the data: one number per
input channel is the statistic, from which any region follows with the weights and no GPU.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor, nn

from safety_regions.config.methods import Wanda
from safety_regions.methods.weights import weight_levels
from safety_regions.models.architecture import linears, projections
from safety_regions.models.load import LoadedModel
from safety_regions.models.response_inputs import read_response_inputs
from safety_regions.models.tokens import Sample
from safety_regions.select import Cut


def measure(loaded: LoadedModel, samples: Sequence[Sample], options: Wanda, *, batch_tokens: int) -> dict[str, Tensor]:
    """s_j of each scored matrix: float64, (in,), on the CPU. Matrices that share an input share its statistic."""
    matrices = projections(loaded.model)
    modules = linears(matrices)
    sums = {m: torch.zeros(m.in_features, dtype=torch.float64, device=m.weight.device) for m in modules}

    def add(module: nn.Module, squares: Float64[Tensor, " in"]) -> None:
        sums[module] += squares  # type: ignore[index]

    read_response_inputs(loaded, samples, modules, sum_of_squares, add, batch_tokens=batch_tokens, doing="wanda")
    return {p.name: sums[p.module].div(len(samples)).cpu() for p in matrices}


def sum_of_squares(inputs: Float[Tensor, "tokens in"]) -> Float64[Tensor, " in"]:
    """Over tokens, in float64."""
    return inputs.double().square_().sum(dim=0)


def levels(
    loaded: LoadedModel, statistics: Mapping[str, Tensor], options: Wanda, cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "out in"]]]:
    """Levels of each scored matrix by `score`."""
    return weight_levels(loaded, statistics, score, cut)


def score(weight: Float[Tensor, "out in"], statistic: Float[Tensor, " in"]) -> Float[Tensor, "out in"]:
    """|W_ij| * sqrt(s_j), float32."""
    return weight.float().abs().mul_(statistic.sqrt().float())
