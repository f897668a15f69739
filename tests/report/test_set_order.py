"""Sets that are alike stand together, and nothing else moves them."""

import numpy as np
import pytest

from safety_regions.report.figures.set_order import alike_together


@pytest.mark.parametrize("seed", range(5))
def test_planted_clusters_stand_together(seed):
    random = np.random.default_rng(seed)
    cluster = random.permutation([0] * 4 + [1] * 3 + [2] * 2)
    iou = np.where(cluster[:, None] == cluster, 0.8, 0.3) + 0.05 * random.random((9, 9))
    order = alike_together((iou + iou.T) / 2)
    assert sorted(order) == list(range(9))
    assert (np.diff(cluster[order]) != 0).sum() == 2


def test_without_clusters_the_order_stays():
    assert alike_together(np.full((5, 5), 0.5)) == list(range(5))
    assert alike_together(np.full((3, 3), np.nan)) == [0, 1, 2]
    assert alike_together(np.empty((0, 0))) == []
