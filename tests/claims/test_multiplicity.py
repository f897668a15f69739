"""Adjusted p-values as published, and where some are missing."""

import numpy as np
import pytest

from safety_regions.claims.multiplicity import benjamini_hochberg, holm


def test_adjusted_p_values_by_hand():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_the_example_of_benjamini_and_hochberg():
    """Their section 4: of 15 p-values three remain at .05 with Bonferroni's and Holm's correction, four with theirs."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590]
    values = np.array([*p, 1.0])
    assert ((holm(values) < 0.05).sum(), (benjamini_hochberg(values) < 0.05).sum()) == (3, 4)


def test_what_has_no_p_value_is_not_counted():
    assert holm(np.array([np.nan, 0.02, 0.03])) == pytest.approx([np.nan, 0.04, 0.04], nan_ok=True)
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()
    assert len(holm(np.array([]))) == 0
