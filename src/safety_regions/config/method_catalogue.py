"""What the plan must know of each method without loading torch."""

from dataclasses import dataclass
from typing import Literal

Granularity = Literal["weight", "neuron", "layer", "adapter"]


@dataclass(frozen=True)
class MethodInfo:
    """Facts of a method that shape the DAG and the recipes."""

    version: int
    """Bumped with every change that alters the method's bytes."""
    granularity: Granularity
    """What the elements of its regions are: single weights, neurons, whole layers, weights of a LoRA adapter."""
    keeps_statistics: bool
    """True: the statistic of the data is small, is kept, and regions are derived from it without a GPU.
    False: the statistic is as large as the weights, so the region is what is kept."""
    selecting: tuple[str, ...] = ()
    """Options that only say how a region follows from a kept statistic; the others decide the statistic."""
    naming: tuple[str, ...] = ()
    """Options that say which other artifacts it needs; recipes hold the digests of these in their place."""
    needs_adapter: bool = False
    """Whether it looks at the model's LoRA safety adapter, in measuring and in selecting."""


CATALOGUE: dict[str, MethodInfo] = {
    "snip": MethodInfo(
        version=1,
        granularity="weight",
        keeps_statistics=False,
    ),
    "wanda": MethodInfo(
        version=1,
        granularity="weight",
        keeps_statistics=True,
    ),
    "safeneuron": MethodInfo(
        version=2,
        granularity="neuron",
        keeps_statistics=True,
        selecting=("select", "agreement"),
    ),
    "safelayer": MethodInfo(
        version=1,
        granularity="layer",
        keeps_statistics=True,
        naming=("normal", "over_rejection", "n_over_rejection"),
    ),
    "nlsr": MethodInfo(
        version=1,
        granularity="adapter",
        keeps_statistics=True,
        selecting=("kept_ranks",),
        naming=("adapter",),
        needs_adapter=True,
    ),
}
