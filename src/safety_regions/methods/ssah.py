"""SSAH's variance score: how much a neuron's part of a layer's output varies over the tokens of a set's prompts.

Li and Kim 2024, arXiv 2410.10862, after An et al. 2024 (FLAP, arXiv 2312.11983): I(k) = Var(x_k) ||W[:, k]||_2^2, x_k
what the output matrix W of a layer's feed-forward or attention reads at channel k, Var the variance over all tokens,
with N - 1. Here each layer has two kinds of neurons:

    ffn  channel k of W_down
    v    channel j of a value head: the sum of I over the channels of W_o that read it, one for every query head that
         shares the head

The paper holds a safety set's scores against a utility set's; here that is refinement, as with any method. Tokens are
those of the user's own text, or of the whole prompt (`tokens`). A neuron that is the same at every token scores 0.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor, nn

from safety_regions.config.methods import Ssah
from safety_regions.errors import UserError
from safety_regions.methods.neurons import neuron_levels, output_matrices
from safety_regions.methods.passes import measure_alone
from safety_regions.models.architecture import Linear, matrix_of
from safety_regions.models.load import LoadedModel
from safety_regions.models.response_inputs import ResponseInputs
from safety_regions.models.tokens import Sample, counted
from safety_regions.regions.select import Cut


def measure(loaded: LoadedModel, samples: Sequence[Sample], options: Ssah, *, batch_tokens: int) -> dict[str, Tensor]:
    """Variance of every channel of W_o, `<layer>.v`, and of W_down, `<layer>.ffn`: float64, (channels,), on the CPU.

    Raises `UserError` for fewer than two tokens, and for a prompt whose own text is not known.
    """
    places = [counted(sample, options.tokens) for sample in samples]
    # Tokens are handed over from `n_prompt` on.
    prompts = [Sample(s.id, s.input_ids[: of.stop], of.start) for s, of in zip(samples, places, strict=True)]
    n_tokens = sum(map(len, places))
    if n_tokens < 2:
        raise UserError(f"{n_tokens} tokens to take a variance of", expected="at least 2", hint="use more prompts")
    watch = _Moments(output_matrices(loaded.model), n_tokens)
    return measure_alone(loaded, prompts, watch, batch_tokens=batch_tokens, doing="ssah")


def levels(
    loaded: LoadedModel, statistics: Mapping[str, Tensor], options: Ssah, cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "1 neurons"]]]:
    """Levels of each layer's value and feed-forward neurons by I, one row per matrix."""
    return neuron_levels(loaded, lambda name, weight: statistics[name] * weight.float().square().sum(dim=0).cpu(), cut)


class _Moments(ResponseInputs):
    """Adds up x and x^2 by the linear module whose inputs they are."""

    def __init__(self, readers: dict[str, Linear], n_tokens: int):
        super().__init__(list(readers.values()))
        self._readers, self._n_tokens = readers, n_tokens
        self._sums = {
            m: torch.zeros(2, matrix_of(m).shape[1], dtype=torch.float64, device=m.weight.device)
            for m in readers.values()
        }

    def reduce(self, inputs: Float[Tensor, "tokens in"]) -> Float64[Tensor, "2 in"]:
        x = inputs.double()
        return torch.stack([x.sum(dim=0), x.square().sum(dim=0)])

    def add(self, module: nn.Module, reduced: Float64[Tensor, "2 in"]) -> None:
        self._sums[module] += reduced

    def statistics(self) -> dict[str, Tensor]:
        return {name: self._variance(self._sums[module]).cpu() for name, module in self._readers.items()}

    def _variance(self, sums: Float64[Tensor, "2 in"]) -> Float64[Tensor, " in"]:
        of_values, of_squares = sums
        return ((of_squares - of_values.square() / self._n_tokens) / (self._n_tokens - 1)).clamp(min=0)
