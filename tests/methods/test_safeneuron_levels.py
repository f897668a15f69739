"""SafeNeuron's regions: the largest means, or what is in the top fraction of enough prompts."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from random_models import random_model

from safety_regions.config.methods import SafeNeuron
from safety_regions.errors import UserError
from safety_regions.methods import safeneuron
from safety_regions.regions.select import Cut

GRID = (0.01, 0.05, 0.2, 0.5)


def levels_of(loaded, statistics, scope, **options):
    return dict(safeneuron.levels(loaded, statistics, SafeNeuron(**options), Cut(GRID, scope)))


def random_statistics(loaded, n_prompts=7):
    """Coarse importances, so that there are ties at every cut; prompts share most of what matters."""
    draw = torch.Generator().manual_seed(3)
    sizes = safeneuron.neurons(loaded.model)
    common = {name: torch.rand(size, generator=draw) * 12 for name, size in sizes.items()}
    return {
        name: (torch.rand(n_prompts, size, generator=draw) * 4 + common[name]).round() for name, size in sizes.items()
    }


def units(names, scope):
    of = {
        "row": lambda name: name,
        "matrix": lambda name: name,
        "layer": lambda name: name.split(".")[0],
        "model": lambda name: "",
    }
    return [[name for name in names if of[scope](name) == unit] for unit in dict.fromkeys(map(of[scope], names))]


def literal_agreement(statistics, names, scope, fraction, agreement):
    """Sets: per prompt the round(fraction * size) largest, lower index first; then who is in enough of them."""
    inside = set()
    for unit in units(names, scope):
        elements = [(name, i) for name in unit for i in range(statistics[name].shape[1])]
        n_prompts = len(statistics[unit[0]])
        votes = Counter()
        for prompt in range(n_prompts):
            ranked = sorted(elements, key=lambda e: -float(statistics[e[0]][prompt, e[1]]))
            votes.update(ranked[: round(fraction * len(elements))])
        inside |= {element for element, n in votes.items() if n >= math.ceil(agreement * n_prompts - 1e-9)}
    return inside


@pytest.mark.parametrize("agreement", [1.0, 5 / 7, 0.5, 0.01])
@pytest.mark.parametrize("scope", ["row", "matrix", "layer", "model"])
def test_agreement_counts_the_prompts_whose_top_fraction_holds_a_neuron(scope, agreement):
    loaded = random_model("llama")
    statistics = random_statistics(loaded)
    names = list(safeneuron.neurons(loaded.model))
    found = levels_of(loaded, dict(sorted(statistics.items())), scope, select="agreement", agreement=agreement)
    assert list(found) == names
    assert all(x.shape == (1, statistics[name].shape[1]) and x.dtype == np.uint8 for name, x in found.items())
    sizes = []
    for i, fraction in enumerate(GRID):
        inside = {(name, k) for name, x in found.items() for k in np.flatnonzero(x[0] >= len(GRID) - i)}
        assert inside == literal_agreement(statistics, names, scope, fraction, agreement)
        sizes.append(len(inside))
    assert sizes[-1] > sizes[1] > 0 or agreement == 1


def test_a_share_of_the_prompts_is_not_missed_by_rounding():
    """0.28 * 25 is a little more than 7 in floating point; 7 prompts are enough all the same."""
    loaded = random_model("llama")
    statistics = {name: torch.zeros(25, size) for name, size in safeneuron.neurons(loaded.model).items()}
    statistics["0.q"][:7, 31] = statistics["0.q"][:6, 30] = 1
    found = levels_of(loaded, statistics, "matrix", select="agreement", agreement=0.28)["0.q"][0]
    assert 0.28 * 25 > 7
    assert found[31] == 3 and found[30] == 0


def test_agreement_of_all_prompts_is_the_intersection_of_their_regions():
    loaded = random_model("llama")
    statistics = random_statistics(loaded)
    each = [levels_of(loaded, {n: x[[p]] for n, x in statistics.items()}, "matrix") for p in range(7)]
    together = levels_of(loaded, statistics, "matrix", select="agreement")
    assert any(x.any() for x in together.values())
    for name, x in together.items():
        np.testing.assert_array_equal(x, np.min([levels[name] for levels in each], axis=0))


@pytest.mark.parametrize("scope", ["row", "matrix", "layer", "model"])
def test_mean_keeps_exactly_the_fraction_of_the_largest_means(scope):
    loaded = random_model("llama")
    statistics = random_statistics(loaded)
    names = list(safeneuron.neurons(loaded.model))
    found = levels_of(loaded, statistics, scope)
    assert list(found) == names
    means = {name: x.double().mean(dim=0).float().numpy() for name, x in statistics.items()}
    for i, fraction in enumerate(GRID):
        for unit in units(names, scope):
            inside = np.concatenate([found[name][0] >= len(GRID) - i for name in unit])
            scores = np.concatenate([means[name] for name in unit])
            assert inside.sum() == round(fraction * len(scores))
            assert not inside.any() or scores[inside].min() >= scores[~inside].max()


@pytest.mark.parametrize("select", ["mean", "agreement"])
def test_importances_that_are_nan_are_an_error(select):
    loaded = random_model("llama")
    statistics = random_statistics(loaded)
    statistics["1.v"][2, 3] = torch.nan
    with pytest.raises(UserError, match=r"1\.v"):
        levels_of(loaded, statistics, "matrix", select=select)
