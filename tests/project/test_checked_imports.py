"""Tests run on a package whose signatures are checked: else a wrong shape would pass wherever numpy broadcasts it."""

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from safety_regions.planning.batching import whole
from safety_regions.regions.masks import refine, size_of

WORDS = np.zeros(3, np.uint64)


def test_a_shape_that_a_signature_does_not_have_is_an_error():
    assert size_of(WORDS) == 0
    with pytest.raises(TypeCheckError):
        size_of(WORDS.reshape(1, 3))
    with pytest.raises(TypeCheckError):
        size_of(WORDS.astype(np.int64))


def test_two_arguments_of_one_axis_are_as_long():
    assert not refine(WORDS, WORDS).any()
    with pytest.raises(TypeCheckError):
        refine(WORDS, WORDS[:1])


def test_so_is_another_type_where_no_shape_is_named():
    assert whole([], 2) == []
    with pytest.raises(BeartypeCallHintViolation):
        whole([], "2")
