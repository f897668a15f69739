"""What linear layers get to see at the response tokens of samples, handed over layer by layer."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from safety_regions.models.architecture import Linear
from safety_regions.models.tokens import Batch


class ResponseInputs(ABC):
    """While `watching`, calls add(module, reduce(inputs at response tokens)) whenever one of the modules is called.

    Modules that get the very same tensor, as q, k and v do, share what `reduce` makes of it.
    """

    def __init__(self, modules: Sequence[Linear]):
        self._modules = modules
        self._batch: Batch | None = None
        self._last: tuple[Tensor | None, Tensor] = (None, torch.empty(0))

    @abstractmethod
    def reduce(self, inputs: Float[Tensor, "tokens in"]) -> Tensor:
        """What is needed of the inputs at the response tokens of a batch."""

    @abstractmethod
    def add(self, module: nn.Module, reduced: Tensor) -> None:
        """Take in what was made of a module's inputs."""

    def see(self, batch: Batch, places: Sequence[int]) -> None:
        """The batch that the model reads next."""
        self._batch, self._last = batch, (None, self._last[1])

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While open, every forward pass of the modules is handed over."""
        with ExitStack() as hooks:
            for module in self._modules:
                hooks.callback(module.register_forward_pre_hook(self._take).remove)
            yield
        self._batch, self._last = None, (None, self._last[1])

    @torch.no_grad()
    def _take(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs
        assert self._batch is not None
        if x is not self._last[0]:
            self._last = (x, self.reduce(x.detach()[self._batch.is_response.to(x.device).view(x.shape[:-1])]))
        self.add(module, self._last[1])
