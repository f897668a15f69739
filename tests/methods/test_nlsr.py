"""NLSR against a slow literal transcription of its definition, on small random models of each family."""

import copy

import numpy as np
import pytest
import torch
from adapters import random_adapter, weights_of
from random_models import FAMILIES, claiming, random_model, random_samples, varied_model

from safety_regions.config.methods import Nlsr
from safety_regions.errors import UserError
from safety_regions.methods.interface import Method, method
from safety_regions.methods.nlsr import levels, measure, score_a, score_b
from safety_regions.models.adapter import LoraAdapter, adapted, named_linears
from safety_regions.models.architecture import matrix_of
from safety_regions.models.tokens import Sample, batches
from safety_regions.regions.select import Cut
from safety_regions.regions.top_fractions import top_levels

OPTIONS = Nlsr()
GRID = (0.05, 0.2, 0.5)
RANK = 5
KEPT = 4
"""int(5 * 0.8)"""


def inputs_of(loaded, samples, adapter):
    """X of each adapted linear, (in, tokens), float64: one sample at a time through a copy with W + scaling B A in
    it.
    """
    model = copy.deepcopy(loaded.model)
    gathered = {name: [] for name in adapter.factors}
    for name, module in named_linears(model).items():
        a, b = adapter.factors[name]
        matrix_of(module).add_(adapter.scaling * b @ a)
        module.register_forward_pre_hook(lambda _, args, name=name: gathered[name].append(args[0].flatten(0, -2)))
    for sample in samples:
        model(torch.tensor([sample.input_ids]))
        for rows in gathered.values():
            rows[-1] = rows[-1][sample.n_prompt :]
    return {name: torch.cat(rows).double().T for name, rows in gathered.items()}


def literal(loaded, samples, adapter, kept):
    """W X = U S V^T for W in {A, B}; |U_r U_r^T W|."""
    scores = {}
    for name, x in inputs_of(loaded, samples, adapter).items():
        a, b = (factor.double() for factor in adapter.factors[name])
        for side, w, x_of_w in (("a", a, x), ("b", b, a @ x)):
            u = torch.linalg.svd(w @ x_of_w, full_matrices=False).U[:, :kept]
            scores[f"{name}_{side}"] = (u @ u.T @ w).abs()
    return scores


def measured(loaded, samples, adapter, batch_tokens=60, merged=False):
    return measure(loaded, samples, OPTIONS, batch_tokens=batch_tokens, adapter=adapter, merged=merged)


def levels_of(loaded, statistics, adapter, scope="matrix", options=OPTIONS):
    return dict(levels(loaded, statistics, options, Cut(GRID, scope), adapter=adapter, merged=False))


def test_the_module_is_a_method():
    assert isinstance(method("nlsr"), Method)


@pytest.mark.parametrize("architecture", claiming("nlsr"))
def test_scores_and_levels_equal_the_literal_definition(architecture):
    loaded, samples = varied_model(architecture), random_samples(9)
    adapter = random_adapter(loaded.model, RANK)
    expected = literal(loaded, samples, adapter, KEPT)
    statistics = measured(loaded, samples, adapter)
    for name, (a, b) in adapter.factors.items():
        found = {"a": score_a(a, statistics[name], KEPT), "b": score_b(b, statistics[name], KEPT)}
        for side, score in found.items():
            wanted = expected[f"{name}_{side}"]
            torch.testing.assert_close(score.double(), wanted, rtol=1e-5, atol=1e-5 * float(wanted.max()))
    for scope in ("row", "matrix"):
        found = levels_of(loaded, statistics, adapter, scope)
        assert list(found) == list(expected)
        for name, level in found.items():
            scores = expected[name].float().numpy()
            units = scores if scope == "row" else scores.reshape(1, -1)
            assert (level == top_levels(units, GRID).reshape(scores.shape)).mean() > 0.99


def test_the_statistic_is_the_gram_matrix_of_all_response_tokens():
    loaded, samples = random_model("llama"), random_samples(5)
    adapter = random_adapter(loaded.model, RANK)
    statistics = measured(loaded, samples, adapter)
    for name, x in inputs_of(loaded, samples, adapter).items():
        y = adapter.factors[name][0].double() @ x
        assert statistics[name].dtype == torch.float64
        torch.testing.assert_close(statistics[name], y @ y.T, rtol=1e-5, atol=1e-5 * float((y @ y.T).max()))


@pytest.mark.parametrize("family", FAMILIES)
def test_batch_size_and_padding_do_not_change_levels(family):
    loaded, samples = random_model(family), random_samples(16)
    adapter = random_adapter(loaded.model, RANK)
    assert max(len(bucket) for bucket in batches(samples, 160)) >= 8
    one_by_one, eight = (measured(loaded, samples, adapter, tokens) for tokens in (1, 160))
    for name, gram in one_by_one.items():
        torch.testing.assert_close(eight[name], gram, rtol=1e-5, atol=1e-5 * float(gram.max()))
    other = levels_of(loaded, eight, adapter)
    for name, level in levels_of(loaded, one_by_one, adapter).items():
        assert (level == other[name]).mean() > 0.99


def test_the_border_between_prompt_and_response_is_used():
    loaded, samples = random_model("llama"), random_samples(4, shortest=8)
    adapter = random_adapter(loaded.model, RANK)
    moved = [Sample(s.id, s.input_ids, s.n_prompt % (len(s.input_ids) - 1) + 1) for s in samples]
    first, second = measured(loaded, samples, adapter), measured(loaded, moved, adapter)
    assert not any(torch.allclose(first[name], second[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_merged_or_added_the_adapter_gives_the_same_statistic(dtype):
    loaded, samples = random_model("phi3", dtype=dtype), random_samples(6)
    adapter = random_adapter(loaded.model, RANK)
    added = measured(loaded, samples, adapter)
    without = measured(loaded, samples, adapter, merged=True)
    with adapted(loaded, adapter):
        merged = measured(loaded, samples, adapter, merged=True)
    assert all(torch.equal(added[name], merged[name]) for name in added)
    assert any(not torch.allclose(added[name], without[name]) for name in added)


def test_scaling_has_no_say_in_the_statistic_of_a_merged_model():
    loaded, samples = random_model("llama"), random_samples(3)
    adapter = random_adapter(loaded.model, RANK)
    first = measured(loaded, samples, adapter, merged=True)
    second = measured(loaded, samples, LoraAdapter(7.0, adapter.factors), merged=True)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_measuring_leaves_the_model_as_it_was():
    loaded, before = random_model("llama"), weights_of(random_model("llama").model)
    measured(loaded, random_samples(3), random_adapter(loaded.model, RANK))
    assert all(torch.equal(before[name], weight) for name, weight in loaded.model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in loaded.model.modules())
    assert not any(weight.requires_grad or weight.is_inference() for weight in loaded.model.parameters())


def test_sums_of_a_bfloat16_model_are_wider_than_its_weights():
    loaded, samples = random_model("llama", dtype=torch.bfloat16), random_samples(6)
    adapter = random_adapter(loaded.model, RANK)
    # The inputs of the first q are the same to the bit in any batch: each token's own embedding, normed.
    y = adapter.factors["0.q"][0].double() @ inputs_of(loaded, samples, adapter)["0.q"]
    gram = measured(loaded, samples, adapter)["0.q"]
    torch.testing.assert_close(gram, y @ y.T, rtol=1e-5, atol=1e-5 * float((y @ y.T).max()))


@pytest.mark.parametrize("share", [1.0, 0.01])
def test_ranks_kept_run_from_one_to_all(share):
    """All ranks kept leave the factors as they are; a share below one rank keeps one, so all rows of A_hat are
    parallel.
    """
    loaded, samples = random_model("llama"), random_samples(9)
    adapter = random_adapter(loaded.model, RANK)
    found = levels_of(loaded, measured(loaded, samples, adapter), adapter, "row", Nlsr(kept_ranks=share))
    for name, (a, b) in adapter.factors.items():
        if share == 1.0:
            for side, factor in (("a", a), ("b", b)):
                assert (found[f"{name}_{side}"] == top_levels(factor.abs().numpy(), GRID)).mean() > 0.99
        else:
            level = found[f"{name}_a"]
            assert (level == level[0]).mean() > 0.99


@pytest.mark.parametrize("scope", ["row", "matrix", "layer", "model"])
def test_factors_come_linear_by_linear_with_exact_sizes(scope):
    loaded, samples = random_model("phi3"), random_samples(6)
    adapter = random_adapter(loaded.model, RANK)
    found = levels_of(loaded, measured(loaded, samples, adapter), adapter, scope)
    wanted = [f"{layer}.{kind}_{side}" for layer in (0, 1) for kind in ("qkv", "o", "gateup", "down") for side in "ab"]
    assert list(found) == wanted
    assert found["0.qkv_a"].shape == (RANK, 32)
    assert found["0.qkv_b"].shape == (64, RANK)
    units = {
        "row": [row for level in found.values() for row in level],
        "matrix": list(found.values()),
        "layer": [np.concatenate([v.ravel() for k, v in found.items() if k[0] == layer]) for layer in "01"],
        "model": [np.concatenate([v.ravel() for v in found.values()])],
    }
    for unit in units[scope]:
        assert [(unit >= len(GRID) - i).sum() for i in range(len(GRID))] == [round(q * unit.size) for q in GRID]


def test_nan_names_the_matrix():
    loaded, samples = random_model("llama"), random_samples(3)
    adapter = random_adapter(loaded.model, RANK)
    statistics = measured(loaded, samples, adapter)
    broken = statistics | {"1.up": statistics["1.up"] * torch.nan}
    with pytest.raises(UserError, match=r"(?s)NaN or infinity.*matrix 1\.up_a"):
        levels_of(loaded, broken, adapter)
    adapter.factors["1.down"][1][0, 0] = torch.inf
    with pytest.raises(UserError, match=r"(?s)NaN or infinity.*matrix 1\.down_a"):
        levels_of(loaded, statistics, adapter)


def test_a_statistic_of_another_rank_is_refused():
    loaded, samples = random_model("llama"), random_samples(3)
    statistics = measured(loaded, samples, random_adapter(loaded.model, RANK + 1))
    with pytest.raises(UserError, match=r"(?s)shape \(6, 6\).*matrix 0\.q_a.*rank 5"):
        levels_of(loaded, statistics, random_adapter(loaded.model, RANK))
