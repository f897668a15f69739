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
from safety_regions.methods.passes import Observer, measure_alone
from safety_regions.methods.weights import weight_levels
from safety_regions.models.architecture import Projection, linears, projections
from safety_regions.models.load import LoadedModel
from safety_regions.models.response_inputs import ResponseInputs
from safety_regions.models.tokens import Sample
from safety_regions.regions.select import Cut


def measure(loaded: LoadedModel, samples: Sequence[Sample], options: Wanda, *, batch_tokens: int) -> dict[str, Tensor]:
    """s_j of each scored matrix: float64, (in,), on the CPU. Matrices that share an input share its statistic."""
    watch = observer(loaded, samples, options)
    return measure_alone(loaded, samples, watch, batch_tokens=batch_tokens, doing="wanda")


def observer(loaded: LoadedModel, samples: Sequence[Sample], options: Wanda) -> Observer:
    """What gathers the statistics of `measure` in a pass over the samples."""
    return _Squares(projections(loaded.model), len(samples))


class _Squares(ResponseInputs):
    """Adds up squares by the linear module whose inputs they are of."""

    def __init__(self, matrices: list[Projection], n_samples: int):
        super().__init__(linears(matrices))
        self._matrices, self._n_samples = matrices, n_samples
        # Where inputs are: weights that come from files are nowhere yet.
        self._sums: dict[nn.Module, Float64[Tensor, " in"]] = {}

    def reduce(self, inputs: Float[Tensor, "tokens in"]) -> Float64[Tensor, " in"]:
        return sum_of_squares(inputs)

    def add(self, module: nn.Module, reduced: Float64[Tensor, " in"]) -> None:
        self._sums.setdefault(module, torch.zeros_like(reduced)).add_(reduced)

    def statistics(self) -> dict[str, Tensor]:
        return {p.name: self._sums[p.module].div(self._n_samples).cpu() for p in self._matrices}


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
