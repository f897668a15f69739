"""What a method offers: `measure` a statistic of the data, turn it into a `score` per weight.

    measure(loaded, samples, batch_tokens) -> {matrix name: statistic}     the expensive part: one pass over the samples
    score(weight, statistic)               -> score of every element       cheap, one matrix at a time

Both are pure: tensors in, tensors out. What the plan needs to know of a method stands in `catalogue.py`.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from safety_regions.methods.catalogue import CATALOGUE
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample


@runtime_checkable
class Method(Protocol):
    """What every method module offers."""

    def measure(self, loaded: LoadedModel, samples: Sequence[Sample], batch_tokens: int) -> dict[str, Tensor]:
        """The statistic of the samples for each scored matrix, by its name, on the CPU."""
        ...

    def score(self, weight: Float[Tensor, "out in"], statistic: Tensor) -> Float[Tensor, "out in"]:
        """The importance of each weight, float32, larger is more important."""
        ...


def method(name: str) -> Method:
    """The module of a method in the catalogue."""
    if name not in CATALOGUE:
        raise KeyError(name)
    return import_module(f"safety_regions.methods.{name}")
