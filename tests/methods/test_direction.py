"""Neurons that write along the refusal direction, against the definition: prompt by prompt, neuron by neuron."""

from itertools import count

import numpy as np
import pytest
import torch
from literal_neurons import DIM
from measured_neurons import assert_equal, random_prompts
from random_models import claiming, random_model, varied_model

from safety_regions.config.methods import Direction
from safety_regions.errors import UserError
from safety_regions.methods import direction
from safety_regions.methods.interface import Method
from safety_regions.models.architecture import layers_of, layout_of, matrix_of, projections, states_of
from safety_regions.models.tokens import Sample
from safety_regions.regions.select import Cut

CUT = Cut((0.1, 0.3), "matrix")


def literal(loaded, prompts, harmless):
    """By matrix: the score of each of its neurons, from prompts that are read one by one."""
    layers = layers_of(loaded.model)
    read = {f"{p.layer}.{p.kind}": p.module for p in projections(loaded.model) if p.kind in ("o", "down")}
    means = []
    for group in (prompts, harmless):
        seen = {key: [] for key in (*read, *range(len(layers)))}
        hooks = [
            module.register_forward_pre_hook(
                lambda _, x, kept=seen[name]: kept.append(x[0].flatten(0, -2)[-1].double())
            )
            for name, module in read.items()
        ] + [
            layer.register_forward_hook(lambda _, x, y, kept=seen[index]: kept.append(states_of(y)[0, -1].double()))
            for index, layer in enumerate(layers)
        ]
        for sample in group:
            loaded.model(torch.tensor([sample.input_ids[: sample.n_prompt]]))
        for hook in hooks:
            hook.remove()
        means.append({key: sum(kept) / len(kept) for key, kept in seen.items()})
    own, other = means
    scores = {}
    for layer, kind in ((layer, kind) for layer in range(len(layers)) for kind in ("o", "down")):
        r, name = own[layer] - other[layer], f"{layer}.{kind}"
        of_channels = [
            float((own[name][k] - other[name][k]) * sum(matrix_of(read[name])[:, k].double() * r) / sum(r * r) ** 0.5)
            for k in range(matrix_of(read[name]).shape[1])
        ]
        if kind == "o":
            # Value head h is shared by as many query heads as there are for each, one behind the other.
            n_values = layout_of(loaded.model).n_kv_heads
            shared = len(of_channels) // (n_values * DIM)
            of_channels = [
                sum(of_channels[(head * shared + query) * DIM + place] for query in range(shared))
                for head in range(n_values)
                for place in range(DIM)
            ]
        scores[f"{layer}.{'v' if kind == 'o' else 'ffn'}"] = of_channels
    return scores


@pytest.mark.parametrize("architecture", claiming("direction"))
def test_scores_are_what_neurons_add_to_the_difference_of_means(architecture):
    loaded, prompts, harmless = varied_model(architecture), random_prompts(4), random_prompts(3, seed=1)
    found = direction.measure(loaded, prompts, Direction(), batch_tokens=60, harmless=harmless)
    levels = dict(direction.levels(loaded, found, Direction(), CUT))
    scores = literal(loaded, prompts, harmless)
    assert list(levels) == list(scores)
    for name, of_neurons in scores.items():
        assert levels[name].shape == (1, len(of_neurons))
        positive = sum(score > 0 for score in of_neurons)
        order = np.argsort(of_neurons)[::-1]
        for fraction, least in zip(CUT.grid, (2, 1), strict=True):
            n = min(round(fraction * len(of_neurons)), positive)
            assert {*np.flatnonzero(levels[name][0] >= least)} == {*order[:n]}


def test_what_a_layer_s_neurons_write_adds_up_to_what_it_adds_to_the_difference():
    """In a model without norms behind attention and feed-forward: along the direction of the layer."""
    loaded, prompts, harmless = random_model("llama"), random_prompts(4), random_prompts(4, seed=1)
    found = direction.measure(loaded, prompts, Direction(), batch_tokens=60, harmless=harmless)
    scores = literal(loaded, prompts, harmless)
    embedded = [
        sum(loaded.model.get_input_embeddings()(torch.tensor(s.input_ids[s.n_prompt - 1])).double() for s in group) / 4
        for group in (prompts, harmless)
    ]
    before = embedded[0] - embedded[1]
    for layer in range(2):
        r = found[f"{layer}.direction"]
        written = sum(scores[f"{layer}.v"]) + sum(scores[f"{layer}.ffn"])
        assert written == pytest.approx(float((r - before) @ r / r.norm()), rel=1e-4)
        before = r


def test_neurons_that_write_nothing_or_against_the_direction_are_in_no_region():
    """Planted: the matrices of layer 1 write along one state, which only neuron 0 is active for."""
    loaded = random_model("llama")
    statistics = {"1.direction": torch.eye(64, dtype=torch.float64)[3][: loaded.model.config.hidden_size]}
    mlp, attention = loaded.model.model.layers[1].mlp, loaded.model.model.layers[1].self_attn
    for matrix in (mlp.down_proj, attention.o_proj):
        matrix.weight.zero_()
    mlp.down_proj.weight[3, :3] = torch.tensor([1.0, -1.0, 1.0])
    statistics |= {
        "1.ffn": torch.tensor([2.0, 2.0, -1.0]).double().new_zeros(mlp.down_proj.in_features),
        "1.v": torch.ones(attention.o_proj.in_features, dtype=torch.float64),
        "0.direction": statistics["1.direction"] * 0,
        "0.ffn": torch.ones(mlp.down_proj.in_features, dtype=torch.float64),
        "0.v": torch.ones(attention.o_proj.in_features, dtype=torch.float64),
    }
    statistics["1.ffn"][:3] = torch.tensor([2.0, 2.0, -1.0])
    levels = dict(direction.levels(loaded, statistics, Direction(), Cut((1.0,), "matrix")))
    assert np.flatnonzero(levels["1.ffn"]).tolist() == [0]
    # Without a difference there is no direction.
    assert not any(levels[name].any() for name in ("1.v", "0.v", "0.ffn"))


def test_of_equal_scores_the_lower_index_goes_first():
    loaded = random_model("llama")
    down = loaded.model.model.layers[0].mlp.down_proj
    down.weight.fill_(1.0)
    hidden, n = down.weight.shape
    statistics = {name: torch.ones(n, dtype=torch.float64) for name in ("0.ffn", "1.ffn")}
    for layer, attention in zip(count(), (of.self_attn for of in loaded.model.model.layers), strict=False):
        statistics[f"{layer}.v"] = torch.ones(attention.o_proj.in_features, dtype=torch.float64)
        statistics[f"{layer}.direction"] = torch.ones(hidden, dtype=torch.float64)
    levels = dict(direction.levels(loaded, statistics, Direction(), Cut((0.25,), "matrix")))
    assert np.flatnonzero(levels["0.ffn"]).tolist() == list(range(round(0.25 * n)))


def test_the_set_of_the_harmless_prompts_has_no_region():
    loaded, prompts, others = random_model("llama"), random_prompts(4), random_prompts(4, seed=1)
    found = direction.measure(loaded, prompts, Direction(), batch_tokens=60, harmless=others, is_harmless=True)
    assert not any(values.any() for values in found.values())
    assert not any(levels.any() for _, levels in direction.levels(loaded, found, Direction(), CUT))


def test_batches_and_responses_do_not_matter():
    loaded, prompts, harmless = random_model("gemma2"), random_prompts(6), random_prompts(5, seed=1)
    other = [Sample(s.id, (*s.input_ids[: s.n_prompt], 7, 8, 9), s.n_prompt, s.content) for s in prompts]
    one_by_one, together = (
        direction.measure(loaded, of, Direction(), batch_tokens=n, harmless=harmless)
        for of, n in ((prompts, 1), (other, 160))
    )
    for name, values in one_by_one.items():
        assert_equal(together[name], values, rtol=1e-4)
    assert isinstance(direction, Method)


def test_states_that_are_not_finite_are_told():
    loaded = random_model("llama")
    loaded.model.model.layers[1].mlp.down_proj.weight[0] = float("inf")
    with pytest.raises(UserError, match="hidden states are infinite or NaN"):
        direction.measure(loaded, random_prompts(2), Direction(), batch_tokens=60, harmless=random_prompts(2, seed=1))
