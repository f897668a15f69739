"""The loss backpropagated one layer at a time: memory holds the activations of one layer and what is gathered of one,
however many the model has.

The model reads a batch without a graph, and what every layer got to read is kept. The gradient of the loss at the last
layer's output comes from the head alone. Then each layer, the last first, reads what it read again, with a graph, and
turns the gradient at its output into that at its input. All of it is what one graph of the whole model computes, in the
same order for each layer, so gradients are the same bytes; a layer's forward pass is the price.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from safety_regions.methods.layer_calls import LayerCall, call_of
from safety_regions.models.architecture import layers_of, states_of
from safety_regions.models.load import LoadedModel


class Backward:
    """Batches whose loss was computed and not yet backpropagated through the layers; the model stays as it is."""

    def __init__(self, loaded: LoadedModel):
        self._loaded = loaded
        self._layers: list[nn.Module] = layers_of(loaded.model)
        self._calls: list[list[LayerCall]] = []
        """By batch and layer."""
        self._gradients: list[Float[Tensor, "batch pos hidden"]] = []
        """By batch: of the loss, at the output of the layer that comes next."""

    @contextmanager
    def recording(self) -> Iterator[None]:
        """While open, the model reads a batch, and its loss is computed and backpropagated: it gets no further than to
        the last layer's output.
        """
        calls: list[LayerCall] = []
        with ExitStack() as hooks:
            for layer in self._layers:
                hooks.callback(_keeping(layer, calls).remove)
            hooks.enter_context(self.behind(calls))
            yield

    @contextmanager
    def behind(self, calls: list[LayerCall]) -> Iterator[None]:
        """As `recording`, for what the layers are known to have been called with."""
        cut: list[Tensor] = []
        hook = _cutting(self._layers[-1], cut)
        try:
            yield
        finally:
            hook.remove()
        [states] = cut
        assert states.grad is not None
        self._calls.append(calls)
        self._gradients.append(states.grad)

    def layer_by_layer(self, watching: Callable[[int], AbstractContextManager[Any]]) -> Iterator[int]:
        """Backpropagate all batches through every layer, the last first, each with `watching(layer)` open, and say when
        one is done, whose weights are then still there. Afterwards nothing is left of the batches.
        """
        for number in reversed(range(len(self._layers))):
            with self._loaded.layer(number):
                with watching(number):
                    for batch, calls in enumerate(self._calls):
                        self._gradients[batch] = self._through(number, calls.pop(), self._gradients[batch])
                yield number
        self._calls, self._gradients = [], []

    def _through(
        self, number: int, call: LayerCall, gradient: Float[Tensor, "batch pos hidden"]
    ) -> Float[Tensor, "batch pos hidden"]:
        """The gradient at a layer's input."""
        states = call.states.to(call.device).requires_grad_()
        output = states_of(self._layers[number](states, *call.args, **call.kwargs))
        output.backward(gradient.to(output.device))
        assert states.grad is not None
        return states.grad


def _keeping(layer: nn.Module, calls: list[LayerCall]) -> RemovableHandle:
    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append(call_of(args, kwargs))

    return layer.register_forward_pre_hook(keep, with_kwargs=True)


def _cutting(layer: nn.Module, cut: list[Tensor]) -> RemovableHandle:
    """What comes behind the layer gets a leaf to differentiate by, in place of the layer's output."""

    def put(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        cut.append(states_of(output).detach().requires_grad_())
        return (cut[-1], *output[1:]) if isinstance(output, tuple | list) else cut[-1]

    return layer.register_forward_hook(put)
