"""What the methods that score single weights share: from a score per weight to the levels of every scored matrix."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from safety_regions.models.architecture import projections
from safety_regions.models.load import LoadedModel
from safety_regions.regions.select import Cut, select

Score = Callable[[Float[Tensor, "out in"], Tensor], Float[Tensor, "out in"]]


def weight_levels(
    loaded: LoadedModel, statistics: Mapping[str, Tensor], score: Score, cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "out in"]]]:
    """Levels of each scored matrix that has a statistic, by `score(weight, statistic)`, float32, larger is more
    important.
    """
    matrices = {p.name: p for p in projections(loaded.model) if p.name in statistics}

    def scores_of(name: str) -> np.ndarray:
        with loaded.layer(matrices[name].layer):
            return score(matrices[name].read().cpu(), statistics[name]).numpy()

    return select(list(matrices), scores_of, cut)
