"""From IoU to the correlation of scores and back, against draws, and against the published runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from safety_regions.claims.latent import (
    correlation_of_iou,
    iou_of_correlation,
    iou_of_many,
    share_of_floor,
    with_more_prompts,
)
from safety_regions.claims.planted import top

STUDY = Path(__file__).parents[2] / "figures/study"


@pytest.mark.parametrize("correlation", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.6])
def test_iou_of_two_normal_scores_is_that_of_drawn_ones(correlation, share):
    common, *own = np.random.default_rng(0).standard_normal((3, 200_000), np.float32)
    scores = np.stack([np.sqrt(correlation) * common + np.sqrt(1 - correlation) * of for of in own])
    a, b = top(scores.astype(np.float32), share)
    assert (a & b).sum() / (a | b).sum() == pytest.approx(float(iou_of_correlation(correlation, share)), abs=0.012)


@pytest.mark.parametrize("share", [1e-4, 0.05, 0.5, 0.9])
def test_correlation_and_iou_are_each_other_s_inverse(share):
    correlations = np.linspace(-0.5, 0.999, 20)
    iou = iou_of_correlation(correlations, share)
    told = iou > 1e-12
    assert correlation_of_iou(iou, share)[told] == pytest.approx(correlations[told], abs=1e-6)
    assert float(iou_of_correlation(1.0, share)) == pytest.approx(1)
    assert float(correlation_of_iou(share / (2 - share), share)) == pytest.approx(0, abs=1e-9)
    assert float(share_of_floor(share / (2 - share))) == pytest.approx(share)


@pytest.mark.parametrize(("iou", "share"), [(np.nan, 0.1), (0.5, np.nan), (0.5, 0.0), (0.5, 1.0)])
def test_what_is_undefined_has_no_correlation(iou, share):
    assert np.isnan(correlation_of_iou(iou, share))


def test_halves_predict_the_published_overlap_of_whole_sets():
    """From the IoU of 24 prompts that of 48. NLSR's score is no mean over prompts, so more of them do more than add up;
    SafeLayer's ranges are no elements cut at one height.
    """
    table = pd.read_csv(STUDY / "estimates.csv").query("stage == 'raw' and method != 'safelayer'")
    share = share_of_floor(table["floor"].to_numpy())
    between, within = (correlation_of_iou(table[name].to_numpy(), share) for name in ("between", "ceiling"))
    predicted = iou_of_correlation(between / within * with_more_prompts(within, 2.0), share)
    means, projected = (table["method"] != "nlsr").to_numpy(), (table["method"] == "nlsr").to_numpy()
    off = predicted - table["iou"].to_numpy()
    assert means.sum() == 9 and abs(off[means]).max() < 0.007
    assert projected.sum() == 3 and off[projected].min() > 0.02 and off[projected].max() < 0.05


def test_many_sets_share_little_whatever_pairs_share():
    """Of the IoU that pairs of SNIP regions have on the aligned model: what 5, 10 and 20 such sets would share."""
    found = iou_of_many(0.5144, 0.05 / 1.95, 20)
    assert found[0] == pytest.approx(1)
    assert found[1] == pytest.approx(0.5144, abs=1e-4)
    assert found[[4, 9, 19]] == pytest.approx([0.249, 0.157, 0.104], abs=5e-4)


def test_the_iou_of_many_is_that_of_drawn_ones():
    random = np.random.default_rng(1)
    common = random.standard_normal(100_000)
    scores = np.sqrt(0.7) * common + np.sqrt(0.3) * random.standard_normal((6, 100_000))
    masks = top(scores.astype(np.float32), 0.1)
    pair = float(iou_of_correlation(0.7, 0.1))
    expected = [np.logical_and.reduce(masks[:n]).sum() / np.logical_or.reduce(masks[:n]).sum() for n in range(1, 7)]
    assert iou_of_many(pair, 0.1 / 1.9, 6) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(("iou", "expected"), [(1.0, 1.0), (0.0, np.nan), (np.nan, np.nan)])
def test_the_iou_of_many_at_the_ends(iou, expected):
    assert iou_of_many(iou, 0.1, 3) == pytest.approx([expected] * 3, nan_ok=True)
