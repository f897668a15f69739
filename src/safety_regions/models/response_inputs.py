"""What linear layers get to see at the response tokens of samples, handed over layer by layer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, batches, collate
from safety_regions.progress import progress

Reduce = Callable[[Float[Tensor, "tokens in"]], Tensor]
Add = Callable[[nn.Module, Tensor], None]


def read_response_inputs(
    loaded: LoadedModel, samples: Sequence[Sample], modules: Sequence[nn.Linear], reduce: Reduce, add: Add, *, batch_tokens: int, doing: str
) -> None:  # fmt: skip
    """Run the samples through the decoder; for each batch and module call add(module, reduce(inputs at response tokens)).

    Modules that get the very same tensor, as q, k and v do, share what `reduce` makes of it.
    """
    inputs = _ResponseInputs(reduce, add)
    with inputs.of(modules), torch.inference_mode(), progress(len(samples), doing) as bar:
        for bucket in batches(samples, batch_tokens):
            batch = collate(bucket).to(loaded.device)
            inputs.is_response = batch.is_response
            loaded.model.model(batch.input_ids, use_cache=False)
            bar.update(len(bucket))


class _ResponseInputs:
    def __init__(self, reduce: Reduce, add: Add):
        self._reduce, self._add = reduce, add
        self.is_response: Bool[Tensor, "batch pos"] = torch.empty(0, 0, dtype=torch.bool)
        self._last: tuple[Tensor | None, Tensor] = (None, torch.empty(0))

    @contextmanager
    def of(self, modules: Sequence[nn.Linear]) -> Iterator[None]:
        """While open, every forward pass of the modules is handed over."""
        with ExitStack() as hooks:
            for module in modules:
                hooks.callback(module.register_forward_pre_hook(self._see).remove)
            yield

    def _see(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs
        if x is not self._last[0]:
            self._last = (x, self._reduce(x[self.is_response.to(x.device)]))
        self._add(module, self._last[1])
