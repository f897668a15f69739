"""A model read one layer at a time: all batches go through a layer before the first of them goes through the next, so
that weights which come from files are read once for all of them.

Each batch is let into the model as ever, and what that calls the layers with is taken down, but only the first of them
does its work. The others are then called by the same words with what the layer before them gave. What is in front of
the layers and what is behind them stays the model's own, so all that is computed is the same, bit for bit.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from torch import nn

from safety_regions.methods.layer_calls import LayerCall, call_of
from safety_regions.models.architecture import layers_of, states_of
from safety_regions.models.load import LoadedModel

Read = Callable[[], object]
"""Lets the model read a batch."""


class Forward:
    """Batches that have come as far as one of the layers."""

    def __init__(self, loaded: LoadedModel, *, keeps: bool):
        """`keeps`: whether what layers read is kept, for a backward pass."""
        self._loaded, self._keeps = loaded, keeps
        self._layers: list[nn.Module] = layers_of(loaded.model)
        self._calls: list[list[LayerCall]] = []
        """By batch and layer."""
        self._in_tuples = False
        """Whether layers give states in a tuple."""

    def layer_by_layer(self, reads: Sequence[Read], before: Callable[[int], object]) -> Iterator[int]:
        """Bring all batches through every layer, and say when one is done. `before` is called with the number of a
        batch before each layer reads it.
        """
        for number in range(len(self._layers)):
            with self._loaded.layer(number):
                for batch, read in enumerate(reads):
                    before(batch)
                    if number == 0:
                        self._calls.append(self._let_in(read))
                    else:
                        self._through(number, self._calls[batch])
                yield number

    @contextmanager
    def behind(self, batch: int) -> Iterator[list[LayerCall]]:
        """While open, layers do nothing but that the last gives what it gave for this batch: `Read` goes on from there.
        Opens to what they were called with, and forgets it.
        """
        *calls, end = self._calls[batch]
        self._calls[batch] = []
        states = end.states.to(end.device)
        given = (states,) if self._in_tuples else states
        with _called(self._layers, lambda number, args, kwargs: given):
            yield calls

    def _let_in(self, read: Read) -> list[LayerCall]:
        """The calls of all layers, and one more that holds what the last to work gave: here, the first."""
        calls: list[LayerCall] = []
        own, last, output = self._layers[0].forward, len(self._layers) - 1, None

        def take_down(number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            nonlocal output
            calls.append(call_of(args, kwargs))
            if number == 0:
                output = own(*args, **kwargs)
            if number == last:
                # Of norm and head nothing is wanted yet.
                raise _AllCalled
            return output

        with _called(self._layers, take_down), suppress(_AllCalled):
            read()
        self._in_tuples = isinstance(output, tuple | list)
        self._hand_on(calls, 0, output)
        return calls

    def _through(self, number: int, calls: list[LayerCall]) -> None:
        call = calls[number]
        self._hand_on(calls, number, self._layers[number](call.states.to(call.device), *call.args, **call.kwargs))

    def _hand_on(self, calls: list[LayerCall], number: int, output: Any) -> None:
        """What a layer gave is what the next reads."""
        states = states_of(output).detach()
        call = calls[number]
        if number + 1 < len(self._layers):
            calls[number + 1].states = states.cpu()
        else:
            calls.append(LayerCall(states.cpu(), (), {}, states.device))
        if not self._keeps:
            call.states = states.new_empty(0)


class _AllCalled(Exception):
    """The last of the layers was called."""


@contextmanager
def _called(layers: list[nn.Module], instead: Callable[[int, tuple[Any, ...], dict[str, Any]], Any]) -> Iterator[None]:
    """While open, layers do this, given their number and what they are called with; their hooks are called as ever."""

    def forward(number: int, *args: Any, **kwargs: Any) -> Any:
        return instead(number, args, kwargs)

    before = [layer.__dict__.get("forward") for layer in layers]
    for number, layer in enumerate(layers):
        layer.forward = partial(forward, number)
    try:
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            del layer.forward
            if own is not None:
                layer.forward = own
