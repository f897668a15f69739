"""Random masks of matrices, and how regions hand them over."""

import numpy as np

from safety_regions.regions.format import pack


def random_masks(shapes, share, seed=0):
    random = np.random.default_rng(seed)
    return {name: random.random(shape) < share for name, shape in shapes.items()}


def packed(masks):
    return lambda own: pack(masks[own])
