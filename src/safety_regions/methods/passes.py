"""One pass of a model over samples, watched by any number of observers: what several methods share when asked for
together.

Each batch is read once, in full: prompt and response. If an observer needs gradients, the loss of the responses is
computed and backpropagated, else the decoder alone runs. Observers only look, so the model computes the same whoever
watches: statistics of a method are the same bytes alone and beside others.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Batch, Sample, buckets, collate
from safety_regions.progress import progress


@runtime_checkable
class Observer(Protocol):
    """What a method puts beside a model to gather its statistics. It must change nothing that the model computes.

    Hooks run without gradients being recorded only if they say so: where another observer needs gradients, they are.
    """

    needs_gradients: bool
    """Whether the loss must be backpropagated; no weight gets a gradient, activations do."""

    def watching(self) -> AbstractContextManager[Any]:
        """While open, the observer's hooks are in the model."""
        ...

    def see(self, batch: Batch, places: Sequence[int]) -> None:
        """Called before the model reads a batch; `places` are the positions of its rows among the samples."""
        ...

    def statistics(self) -> dict[str, Tensor]:
        """The statistics by name, on the CPU, after the last batch. Called once."""
        ...


def run_pass(
    loaded: LoadedModel, samples: Sequence[Sample], observers: Sequence[Observer], *, batch_tokens: int, doing: str
) -> None:
    """Let the model read all samples, in batches of at most `batch_tokens` padded tokens, while the observers watch.

    Memory beside the model's: the activations of one batch (of all layers, and its logits, where gradients are needed)
    and what the observers gather. `doing` is shown beside the progress bar.
    """
    backward = any(observer.needs_gradients for observer in observers)
    with ExitStack() as stack:
        for observer in observers:
            stack.enter_context(observer.watching())
        stack.enter_context(nullcontext() if backward else torch.inference_mode())
        bar = stack.enter_context(progress(len(samples), doing))
        for places in buckets(samples, batch_tokens):
            batch = collate([samples[place] for place in places]).to(loaded.device)
            for observer in observers:
                observer.see(batch, places)
            if backward:
                response_loss(loaded.model, batch).backward()
            else:
                loaded.model.model(batch.input_ids, use_cache=False)
            bar.update(len(places))


def measure_alone(
    loaded: LoadedModel, samples: Sequence[Sample], observer: Observer, *, batch_tokens: int, doing: str
) -> dict[str, Tensor]:
    """The statistics of one observer, in a pass of its own."""
    run_pass(loaded, samples, [observer], batch_tokens=batch_tokens, doing=doing)
    return observer.statistics()


def response_loss(model: Any, batch: Batch) -> Float[Tensor, ""]:
    """Sum over the batch of each sample's mean of -log p(response token | everything before it).

    A sum, so that the gradient that reaches a sample's activations is that of its own loss. Logits are computed only at
    positions that predict a response token of some sample.
    """
    columns = batch.is_response[:, 1:].any(dim=0).nonzero().squeeze(1)
    logits = model(batch.input_ids, logits_to_keep=columns, use_cache=False).logits
    wanted = batch.is_response[:, columns + 1]
    weights = (1.0 / wanted.sum(dim=1, keepdim=True)).expand_as(wanted)
    losses = functional.cross_entropy(logits[wanted].float(), batch.input_ids[:, columns + 1][wanted], reduction="none")
    return (losses * weights[wanted]).sum()
