"""What the plan must know of each method without loading torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MethodInfo:
    """Facts of a method that shape the DAG and the recipes."""

    version: int
    """Bumped with every change that alters the method's bytes."""
    keeps_statistics: bool
    """True: the statistic of the data is small, is kept, and regions are derived from it without a GPU.
    False: the statistic is as large as the weights, so the region is what is kept."""


CATALOGUE = {
    "snip": MethodInfo(version=1, keeps_statistics=False),
    "wanda": MethodInfo(version=1, keeps_statistics=True),
}
