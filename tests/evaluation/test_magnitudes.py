"""How large elements are: of a neuron, all that it owns, in every architecture."""

import numpy as np
import pytest
import torch
from random_masks import header_for, packed
from random_models import FAMILIES, random_model

from safety_regions.evaluation.magnitudes import of_entries, of_neurons, of_weights
from safety_regions.models.adapter import LoraAdapter
from safety_regions.models.architecture import layout_of, projections
from safety_regions.regions.masks import unpack
from safety_regions.regions.owned_weights import expand, own_shapes


def weight(p):
    return p.module.weight.detach()[p.rows].numpy()


@pytest.mark.parametrize("family", [*FAMILIES, "phi"])
def test_a_neuron_is_as_large_as_the_weights_that_expand_says_it_owns(family):
    loaded = random_model(family)
    layout, matrices = layout_of(loaded.model), projections(loaded.model)
    shapes = own_shapes("neuron", layout)
    header, magnitudes = header_for("neuron", shapes), of_neurons(matrices, layout)
    for own in list(shapes)[:4]:
        found = magnitudes(own)
        assert found.shape == shapes[own] and found.dtype == np.float32
        for neuron in (0, shapes[own][1] - 1):
            masks = {name: np.zeros(shape, bool) for name, shape in shapes.items()}
            masks[own][0, neuron] = True
            owned = [weight(p)[unpack(expand(p.name, packed(masks), header, layout), p.shape)] for p in matrices]
            assert found[0, neuron] == pytest.approx(np.linalg.norm(np.concatenate(owned)), rel=1e-5)


def test_weights_and_entries_are_as_large_as_they_are():
    loaded = random_model("phi3")
    matrices = projections(loaded.model)
    for p in matrices:
        assert (of_weights(matrices)(p.name) == np.abs(weight(p))).all()
    a, b = torch.randn(2, 5), torch.randn(7, 2)
    magnitudes = of_entries(LoraAdapter(1.0, {"0.q": (a, b)}))
    assert (magnitudes("0.q_a") == a.abs().numpy()).all() and (magnitudes("0.q_b") == b.abs().numpy()).all()
