"""Wanda for safety: I(W)_ij = |W_ij| * ||X_j||_2, X_j the j-th input channel over the response tokens of all samples.

Sun et al. 2023, arXiv 2306.11695, eq. 1; for safety Wei et al. 2024, arXiv 2402.05162, eq. 3. The norm is
sqrt(s_j), s_j = (1/N) sum over samples n and response tokens t of x_ntj^2. Only s_j depends on the data: one number per
input channel is the statistic, from which any region follows with the weights and no GPU.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from safety_regions.config.methods import Wanda
from safety_regions.methods.weights import weight_levels
from safety_regions.models.architecture import linears, projections
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, batches, collate
from safety_regions.progress import progress
from safety_regions.select import Cut


def measure(loaded: LoadedModel, samples: Sequence[Sample], options: Wanda, *, batch_tokens: int) -> dict[str, Tensor]:
    """s_j of each scored matrix: float64, (in,), on the CPU. Matrices that share an input share its statistic."""
    matrices = projections(loaded.model)
    tally = _Tally(linears(matrices), loaded.device)
    with tally.listening(), torch.inference_mode(), progress(len(samples), "wanda") as bar:
        for bucket in batches(samples, batch_tokens):
            batch = collate(bucket).to(loaded.device)
            tally.is_response = batch.is_response
            loaded.model.model(batch.input_ids, use_cache=False)
            bar.update(len(bucket))
    return {p.name: tally.sums[p.module].div(len(samples)).cpu() for p in matrices}


def levels(
    loaded: LoadedModel, statistics: Mapping[str, Tensor], options: Wanda, cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "out in"]]]:
    """Levels of each scored matrix by `score`."""
    return weight_levels(loaded, statistics, score, cut)


def score(weight: Float[Tensor, "out in"], statistic: Float[Tensor, " in"]) -> Float[Tensor, "out in"]:
    """|W_ij| * sqrt(s_j), float32."""
    return weight.float().abs().mul_(statistic.sqrt().float())


class _Tally:
    """Sums of squared inputs per channel over response positions, for each linear layer."""

    def __init__(self, modules: list[nn.Linear], device: torch.device):
        self.sums = {m: torch.zeros(m.in_features, dtype=torch.float64, device=device) for m in modules}
        self.is_response: Bool[Tensor, "batch pos"] = torch.empty(0, 0, dtype=torch.bool)
        self._last: tuple[Tensor | None, Tensor] = (None, torch.empty(0))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While open, every forward pass is tallied."""
        hooks = [module.register_forward_pre_hook(self._add) for module in self.sums]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            self._last = (None, torch.empty(0))

    def _add(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs
        # q, k and v (gate and up) get the very same tensor: its squares are summed once.
        if x is not self._last[0]:
            self._last = (x, x[self.is_response].double().square_().sum(dim=0))
        self.sums[module] += self._last[1]  # type: ignore[index]
