"""Refusal direction: how much a neuron writes along the difference of mean states, harmful less harmless prompts.

Arditi et al. 2024, arXiv 2406.11717, section 2.3: r_l = mean of x_l over a set's prompts - the same over harmless ones,
x_l the state behind layer l at the prompt's last token. The paper takes one r for the whole model and removes it from
all that is written to the states; it scores no neurons. Here each layer's neurons are scored along its own r_l:

    I(k) = (mean of h_k over the set's prompts - over harmless ones) * <W[:, k], r_l> / ||r_l||

h_k what the output matrix W of the layer's feed-forward or attention reads at channel k, at the same token. So the I of
a layer's neurons add up to the length, along r_l, of what the layer adds to the difference of means, where no norm
stands between W and the states. Each layer has two kinds of neurons:

    ffn  channel k of W_down
    v    channel j of a value head: the sum of I over the channels of W_o that read it, one for every query head that
         shares the head

A neuron that writes against the direction, or nothing, is in no region, whatever the fraction; of equal scores the
lower index goes first. The set that gives the harmless prompts has nothing to be told apart from, and so no region.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor, nn

from safety_regions.config.methods import Direction
from safety_regions.errors import UserError
from safety_regions.methods.neurons import neuron_levels, output_matrices
from safety_regions.methods.passes import run_pass
from safety_regions.models.architecture import Linear, layers_of, matrix_of, states_of
from safety_regions.models.load import LoadedModel
from safety_regions.models.response_inputs import ResponseInputs
from safety_regions.models.tokens import Batch, Sample
from safety_regions.regions.select import Cut


def measure(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    options: Direction,
    *,
    batch_tokens: int,
    harmless: Sequence[Sample],
    is_harmless: bool = False,
) -> dict[str, Tensor]:
    """Differences of means at the last token of prompts: of what W_o and W_down read, `<layer>.v` and `<layer>.ffn`,
    (channels,), and of states, `<layer>.direction`, (hidden,); float64, on the CPU. All are 0 where the set
    `is_harmless`: then `harmless` are other prompts of it.

    Raises `UserError` for states that are not finite.
    """
    own, other = (_means(loaded, prompts, batch_tokens) for prompts in (samples, harmless))
    return {name: (own[name] - other[name]) * (not is_harmless) for name in own}


def levels(
    loaded: LoadedModel, statistics: Mapping[str, Tensor], options: Direction, cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "1 neurons"]]]:
    """Levels of each layer's value and feed-forward neurons by I, one row per matrix."""

    def score(name: str, weight: Float[Tensor, "out channels"]) -> Float64[Tensor, " channels"]:
        direction = statistics[f"{name.split('.')[0]}.direction"]
        # A difference of nothing has no direction.
        along = direction / direction.norm().clamp(min=torch.finfo(torch.float64).tiny)
        return statistics[name] * (weight.double().cpu().T @ along)

    return neuron_levels(loaded, score, cut)


def _means(loaded: LoadedModel, samples: Sequence[Sample], batch_tokens: int) -> dict[str, Tensor]:
    # Tokens are handed over from `n_prompt` on: here the last of the prompt.
    prompts = [Sample(s.id, s.input_ids[: s.n_prompt], s.n_prompt - 1) for s in samples]
    read, states = _Read(output_matrices(loaded.model)), _States(layers_of(loaded.model))
    run_pass(loaded, prompts, [read, states], batch_tokens=batch_tokens, doing="direction")
    means = {name: total / len(prompts) for name, total in (read.statistics() | states.statistics()).items()}
    if not all(mean.isfinite().all() for mean in means.values()):
        raise UserError(
            "hidden states are infinite or NaN",
            where=str(loaded.model.config.name_or_path),
            hint="use dtype float32 or bfloat16 for this model",
        )
    return means


class _Read(ResponseInputs):
    """Adds up h by the matrix that reads it."""

    def __init__(self, writers: Mapping[str, Linear]):
        super().__init__(list(writers.values()))
        self._writers = writers
        self._sums = {
            m: torch.zeros(matrix_of(m).shape[1], dtype=torch.float64, device=m.weight.device) for m in writers.values()
        }

    def reduce(self, inputs: Float[Tensor, "tokens in"]) -> Float64[Tensor, " in"]:
        return inputs.double().sum(dim=0)

    def add(self, module: nn.Module, reduced: Float64[Tensor, " in"]) -> None:
        self._sums[module] += reduced

    def statistics(self) -> dict[str, Tensor]:
        """Sums by the matrix's name."""
        return {name: self._sums[module].cpu() for name, module in self._writers.items()}


class _States:
    """Adds up the states behind each layer."""

    def __init__(self, layers: Sequence[nn.Module]):
        self._layers = layers
        self._sums: dict[int, Tensor] = {}
        self._batch: Batch | None = None

    def see(self, batch: Batch, places: Sequence[int]) -> None:
        """The batch that the model reads next."""
        self._batch = batch

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While open, the output of every layer is taken in."""
        with ExitStack() as hooks:
            for index, layer in enumerate(self._layers):
                hooks.callback(layer.register_forward_hook(partial(self._take, index)).remove)
            yield

    def statistics(self) -> dict[str, Tensor]:
        """Sums, `<layer>.direction`."""
        return {f"{index}.direction": total for index, total in self._sums.items()}

    @torch.no_grad()
    def _take(self, index: int, module: nn.Module, inputs: Any, output: Any) -> None:
        assert self._batch is not None
        states = states_of(output)
        of_batch = states[self._batch.is_response.to(states.device)].double().sum(dim=0).cpu()
        self._sums[index] = self._sums[index] + of_batch if index in self._sums else of_batch
