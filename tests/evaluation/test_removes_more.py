"""Whether a region removes more refusals than its controls do."""

import math

import pytest

from safety_regions.evaluation.table import removes_more


@pytest.mark.parametrize(
    ("intact", "region", "controls", "expected"),
    [
        (0.9, 0.2, [0.8, 0.5], True),
        (0.9, 0.5, [0.8, 0.5], False),
        (0.9, 0.6, [0.8, 0.5], False),
        (0.9, 0.6, [0.5, 0.8], False),
        (0.9, 0.6, [0.9, 0.9, 0.9, 0.5], False),
        (0.5, 0.6, [0.7, 0.8], False),
        (0.9, 0.9, [1.0, 1.0], False),
        (0.9, 0.95, [1.0, 1.0], False),
        (0.9, math.nan, [1.0, 1.0], False),
        (0.9, 0.2, [1.0, math.nan], False),
        (math.nan, 0.2, [1.0, 1.0], False),
    ],
)
def test_verdict_asks_for_a_drop_larger_than_that_of_every_control(intact, region, controls, expected):
    assert removes_more(intact, region, controls) is expected
