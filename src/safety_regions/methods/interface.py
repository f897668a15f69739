"""What a method offers: `measure` a statistic of the data, turn it into the `levels` of a region.

    measure(loaded, samples, options, batch_tokens=..., **needs) -> {name: statistic}      the expensive part
    levels(loaded, statistics, options, cut, **needs)            -> (matrix name, levels)  cheap, one matrix at a time

A method may also have `facts(statistics)`: what the region's receipt says beside sizes, as plain numbers. And one whose
statistic comes from the plain model reading the samples has

    observer(loaded, samples, options, **needs)              -> passes.Observer            what gathers it in that pass

so that it shares the pass with the other methods that are asked for; its `measure` is the pass with that one observer,
and both give the same bytes. Without `observer` a method has passes of its own, as one that runs other prompts or
changes weights.

All are pure: tensors in, tensors out. `samples` are a set's prompts with their responses. What else a method needs,
such as other prompts or an adapter, comes by keyword. Levels are of the model's matrices of a granularity, or of some
kinds of them, in every layer. All that others must know of a method stands in `config.method_catalogue`, its options in
`config.methods`.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample
from safety_regions.regions.select import Cut


@runtime_checkable
class Method(Protocol):
    """What every method module offers."""

    def measure(
        self, loaded: LoadedModel, samples: Sequence[Sample], options: Any, *, batch_tokens: int, **needs: Any
    ) -> dict[str, Tensor]:
        """The statistics of the samples by name, on the CPU."""
        ...

    def levels(
        self, loaded: LoadedModel, statistics: Mapping[str, Tensor], options: Any, cut: Cut, **needs: Any
    ) -> Iterator[tuple[str, UInt8[np.ndarray, "rows columns"]]]:
        """The levels of each matrix of the region, in the order of the model; larger is inside smaller fractions."""
        ...


def method(name: str) -> Method:
    """The module of a method in the catalogue."""
    if name not in CATALOGUE:
        raise KeyError(name)
    return import_module(f"safety_regions.methods.{name}")
