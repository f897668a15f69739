"""Random masks of matrices, and how regions hand them over and describe them."""

import numpy as np

from safety_regions.elements import usual_shape
from safety_regions.regions.format import Header, pack


def random_masks(shapes, share, seed=0):
    random = np.random.default_rng(seed)
    return {name: random.random(shape) < share for name, shape in shapes.items()}


def packed(masks):
    return lambda own: pack(masks[own])


def header_for(granularity, shapes, region_shape=None):
    """What a region of these matrices says of itself."""
    return Header("0" * 64, (0.1,), "matrix", shapes, {}, granularity, region_shape or usual_shape(granularity))
