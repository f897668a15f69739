"""One pass of a model over samples, watched by any number of observers: what several methods share when asked for
together.

Each batch is read once, in full: prompt and response. If an observer needs gradients, the loss of the responses is
computed and backpropagated, one layer at a time (`Backward`), else the decoder alone runs. Of a model whose layers come
from files all batches are read by one layer before the next (`Forward`). Observers only look, so the model computes the
same whoever watches: statistics of a method are the same bytes alone and beside others.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from safety_regions.config.dimensions import PARTS_OF_SUMS
from safety_regions.methods.backward import Backward
from safety_regions.methods.forward import Forward
from safety_regions.models.architecture import decoder_of, mixes_rows, projections
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Batch, Sample, buckets, collate
from safety_regions.progress import progress


@runtime_checkable
class Observer(Protocol):
    """What a method puts beside a model to gather its statistics. It must change nothing that the model computes."""

    def watching(self) -> AbstractContextManager[Any]:
        """While open, the observer's hooks are in the model; opened once for every group of batches."""
        ...

    def see(self, batch: Batch, places: Sequence[int]) -> None:
        """Called before the model, or one of its layers, reads a batch; `places` are the positions of its rows among
        the samples.
        """
        ...

    def statistics(self) -> dict[str, Tensor]:
        """The statistics by name, on the CPU, after the last batch. Called once."""
        ...


@runtime_checkable
class GradientObserver(Observer, Protocol):
    """An observer that looks at gradients, layer by layer; no weight gets one, activations do."""

    def watching_layer(self, layer: int) -> AbstractContextManager[Any]:
        """While open, the observer's hooks are in one layer, through which losses are backpropagated."""
        ...

    def leave(self, backward: Backward) -> None:
        """Called after the last batch, with what is left to be backpropagated: the observer sees to that when it is
        asked for its statistics.
        """
        ...

    def by_layer(self) -> Iterator[dict[str, Tensor]]:
        """What `statistics` gives, one layer after the other, the last first; one of the two is called, once."""
        ...


def run_pass(
    loaded: LoadedModel, samples: Sequence[Sample], observers: Sequence[Observer], *, batch_tokens: int, doing: str
) -> None:
    """Let the model read all samples, in batches of at most `batch_tokens` padded tokens, while the observers watch.

    Memory beside the model's: the activations of one batch (of one layer, and its logits, where gradients are needed)
    and what observers gather. Where gradients are needed, either what all layers read is kept, for all samples, and
    gradients are gathered of one layer at a time; or, if that is more than the gradients of all layers are in float32,
    these, and what layers read of a group of batches. A model whose layers come from files holds one of them, and what
    one reads, or all, is kept of all samples. `doing` is shown beside the progress bar.
    """
    of_gradients = [observer for observer in observers if isinstance(observer, GradientObserver)]
    backward = Backward(loaded) if of_gradients else None
    # Gradients are gathered of one sample at a time: where a module cannot tell them apart it must get no other.
    groups = [buckets(samples, 1 if of_gradients and mixes_rows(loaded.model) else batch_tokens)]
    if of_gradients and not loaded.streamed:
        groups = _groups(groups[0], samples, _tokens_kept(loaded.model))
    read = _read_by_layers if loaded.streamed else _read_by_batches

    @contextmanager
    def watching_layer(layer: int) -> Iterator[None]:
        with ExitStack() as stack:
            for observer in of_gradients:
                stack.enter_context(observer.watching_layer(layer))
            yield

    with progress(len(samples), doing) as bar:
        for group in groups:
            with ExitStack() as stack:
                for observer in observers:
                    stack.enter_context(observer.watching())
                stack.enter_context(nullcontext() if of_gradients else torch.inference_mode())
                for n_read in read(loaded, samples, group, observers, backward):
                    bar.update(n_read)
            # Of several observers, or groups, none can wait with a layer until it is asked.
            if backward and (len(groups) > 1 or len(of_gradients) > 1):
                deque(backward.layer_by_layer(watching_layer), maxlen=0)
    if backward:
        for observer in of_gradients:
            observer.leave(backward)


def _read_by_batches(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    group: list[list[int]],
    observers: Sequence[Observer],
    backward: Backward | None,
) -> Iterator[int]:
    """Let the model read one batch after the other; how many samples each had."""
    for places in group:
        batch = collate([samples[place] for place in places]).to(loaded.device)
        for observer in observers:
            observer.see(batch, places)
        with backward.recording() if backward else nullcontext():
            _read(loaded, batch, differentiate=backward is not None)
        yield len(places)


def _read_by_layers(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    group: list[list[int]],
    observers: Sequence[Observer],
    backward: Backward | None,
) -> Iterator[int]:
    """Let one layer after the other read all batches; how many samples these had, when the last has read them."""
    batches = [collate([samples[place] for place in places]).to(loaded.device) for places in group]
    reads = [partial(_read, loaded, batch, differentiate=backward is not None) for batch in batches]
    forward = Forward(loaded, keeps=backward is not None)

    def see(number: int) -> None:
        for observer in observers:
            observer.see(batches[number], group[number])

    deque(forward.layer_by_layer(reads, see), maxlen=0)
    for number, (places, read) in enumerate(zip(group, reads, strict=True)):
        if backward:
            with forward.behind(number) as calls, backward.behind(calls):
                read()
        yield len(places)


def _read(loaded: LoadedModel, batch: Batch, *, differentiate: bool) -> None:
    if differentiate:
        response_loss(loaded.model, batch).backward()
    else:
        decoder_of(loaded.model)(batch.input_ids, use_cache=False)


def _tokens_kept(model: Any) -> int:
    """Tokens of which what all layers read takes as much room as gradients of all scored weights in float32."""
    scored = sum(p.shape[0] * p.shape[1] for p in projections(model))
    config = decoder_of(model).config
    return 4 * scored // (config.num_hidden_layers * config.hidden_size * model.dtype.itemsize)


def _groups(batches: list[list[int]], samples: Sequence[Sample], n_tokens: int) -> list[list[list[int]]]:
    """One group of all batches, if these are at most so many tokens; else groups of a part of that, or of one batch."""
    padded = [len(places) * max(len(samples[place].input_ids) for place in places) for places in batches]
    if sum(padded) <= n_tokens:
        return [batches]
    groups: list[list[list[int]]] = []
    room = 0
    for places, tokens in zip(batches, padded, strict=True):
        if tokens > room:
            groups.append([])
            room = n_tokens // PARTS_OF_SUMS
        groups[-1].append(places)
        room -= tokens
    return groups


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
