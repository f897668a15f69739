"""SNIP and Wanda against slow literal transcriptions of their definitions, on small models of each architecture."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from random_models import ARCHITECTURES, FAMILIES, random_model, random_samples, varied_model
from torch.nn import functional

from safety_regions.config.methods import options_of
from safety_regions.errors import UserError
from safety_regions.methods.interface import method
from safety_regions.methods.snip import _adding
from safety_regions.models.architecture import projections, turned
from safety_regions.models.tokens import batches
from safety_regions.regions.select import Cut, select

GRID = [0.01, 0.05, 0.2]


def literal_snip(loaded, samples):
    """|W * dL/dW| of one sample at a time by autograd, averaged in float64."""
    matrices = projections(loaded.model)
    totals = {p.name: torch.zeros(p.shape, dtype=torch.float64) for p in matrices}
    for module in {p.module for p in matrices}:
        module.weight.requires_grad_(True)
    for sample in samples:
        ids = torch.tensor([sample.input_ids])
        logits = loaded.model(ids).logits[0]
        steps = range(sample.n_prompt, len(sample.input_ids))
        loss = torch.stack([functional.cross_entropy(logits[t - 1], ids[0, t]) for t in steps]).mean()
        loss.backward()
        for p in matrices:
            weight = p.read().double()
            totals[p.name] += (weight * turned(p.module, p.module.weight.grad)[p.rows].double()).abs()
        loaded.model.zero_grad()
    for module in {p.module for p in matrices}:
        module.weight.requires_grad_(False)
    return {name: total / len(samples) for name, total in totals.items()}


def literal_wanda(loaded, samples):
    """|W_ij| * ||X_j|| with the inputs of every response token gathered, one sample at a time."""
    matrices = projections(loaded.model)
    inputs = {p.name: [] for p in matrices}
    for sample in samples:
        hooks = []
        for p in matrices:
            keep = lambda _, args, name=p.name: inputs[name].append(args[0].flatten(0, -2)[sample.n_prompt :].double())  # noqa: B023, E731
            hooks.append(p.module.register_forward_pre_hook(keep))
        loaded.model(torch.tensor([sample.input_ids]))
        for hook in hooks:
            hook.remove()
    scores = {}
    for p in matrices:
        norm = (torch.cat(inputs[p.name]) ** 2).sum(dim=0).div(len(samples)).sqrt()
        scores[p.name] = p.read().double().abs() * norm
    return scores


LITERAL = {"snip": literal_snip, "wanda": literal_wanda}


def measured(name, loaded, samples, batch_tokens=60):
    return method(name).measure(loaded, samples, options_of(name, {}), batch_tokens=batch_tokens)


def scores_of(name, loaded, samples, batch_tokens):
    of = method(name)
    statistics = measured(name, loaded, samples, batch_tokens)
    return {p.name: of.score(p.read(), statistics[p.name]) for p in projections(loaded.model)}


def masks_of(scores):
    return dict(select(list(scores), lambda name: scores[name].float().numpy(), Cut(tuple(GRID), "matrix")))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", LITERAL)
def test_scores_equal_the_literal_definition(name, architecture):
    loaded, samples = varied_model(architecture), random_samples(7)
    expected = LITERAL[name](loaded, samples)
    found = scores_of(name, loaded, samples, batch_tokens=60)
    assert list(found) == list(expected)
    for matrix, score in found.items():
        torch.testing.assert_close(
            score.double(), expected[matrix], rtol=1e-5, atol=1e-5 * float(expected[matrix].max())
        )
    levels, literal = masks_of(found), masks_of(expected)
    same = sum(int((levels[m] == literal[m]).sum()) for m in levels)
    assert same >= 0.999 * sum(level.size for level in levels.values())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", LITERAL)
def test_batch_size_does_not_change_masks(name, family):
    loaded, samples = random_model(family), random_samples(16)
    one_by_one = masks_of(scores_of(name, loaded, samples, batch_tokens=1))
    eight = masks_of(scores_of(name, loaded, samples, batch_tokens=160))
    assert max(len(bucket) for bucket in batches(samples, 160)) >= 8
    for matrix, levels in one_by_one.items():
        np.testing.assert_array_equal(levels, eight[matrix])


@pytest.mark.parametrize("name", LITERAL)
def test_order_of_samples_does_not_change_scores(name):
    loaded, samples = random_model("llama"), random_samples(9)
    forward, backward = (scores_of(name, loaded, s, 60) for s in (samples, samples[::-1]))
    for matrix in forward:
        assert torch.equal(forward[matrix], backward[matrix])


@pytest.mark.parametrize("name", LITERAL)
def test_prompt_tokens_are_not_scored_as_response(name):
    """Moving the border between prompt and response changes scores: the border is used."""
    loaded, samples = random_model("llama"), random_samples(4, shortest=8)
    moved = [type(s)(s.id, s.input_ids, max(1, s.n_prompt // 2) if s.n_prompt > 1 else 3) for s in samples]
    first, second = scores_of(name, loaded, samples, 60), scores_of(name, loaded, moved, 60)
    assert any(not torch.allclose(first[m], second[m]) for m in first)


@pytest.mark.parametrize("name", LITERAL)
def test_scoring_leaves_the_model_as_it_was(name):
    loaded, samples = random_model("llama"), random_samples(3)
    ids = torch.tensor([samples[0].input_ids])
    before = loaded.model(ids).logits
    weights = {k: v.clone() for k, v in loaded.model.state_dict().items()}
    measured(name, loaded, samples)
    assert torch.equal(before, loaded.model(ids).logits)
    assert all(torch.equal(weights[k], v) for k, v in loaded.model.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in loaded.model.parameters())
    assert not any("forward" in vars(p.module) or p.module._forward_pre_hooks for p in projections(loaded.model))


@pytest.mark.parametrize("name", LITERAL)
def test_bfloat16_weights_are_summed_in_float32(name):
    loaded, samples = random_model("llama", dtype=torch.bfloat16), random_samples(6)
    statistics = measured(name, loaded, samples)
    assert {t.dtype for t in statistics.values()} <= {torch.float32, torch.float64}
    exact = LITERAL[name](random_copy_in_float32(loaded), samples)
    scores = scores_of(name, loaded, samples, 60)
    for matrix, score in scores.items():
        assert score.dtype == torch.float32
        assert torch.corrcoef(torch.stack([score.double().flatten(), exact[matrix].flatten()]))[0, 1] > 0.99


def random_copy_in_float32(loaded):
    copy = random_model("llama")
    copy.model.load_state_dict({k: v.float() for k, v in loaded.model.state_dict().items()})
    return copy


def test_a_layer_without_one_of_the_projections_is_named():
    loaded = random_model("llama")
    del loaded.model.model.layers[1].mlp.gate_proj
    with pytest.raises(UserError, match=r"layer 1 has no mlp\.gate_proj"):
        projections(loaded.model)


def test_fused_matrices_are_the_rows_of_their_parts():
    """A phi3 layer's q, k and v are blocks of one matrix; together they are all of it."""
    loaded = random_model("phi3")
    block = [p for p in projections(loaded.model) if p.layer == 0]
    assert [p.kind for p in block] == ["q", "k", "v", "o", "gate", "up", "down"]
    assert [p.shape for p in block[:3]] == [(32, 32), (16, 32), (16, 32)]
    assert [p.shape for p in block[4:6]] == [(48, 32), (48, 32)]
    fused = {}
    for p in block:
        fused.setdefault(p.module, []).append((p.rows.start, p.rows.stop))
    for module, spans in fused.items():
        ends = [0, *[stop for _, stop in sorted(spans)]]
        assert [(a, b) for a, b in pairwise(ends)] == sorted(spans)
        assert ends[-1] == module.weight.shape[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_magnitudes_are_added_as_torch_adds_them_whatever_the_bits(dtype):
    """Every number that 16 bits can hold, infinities and NaN too; of float32 some."""
    if dtype == torch.float32:
        values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    else:
        values = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(dtype)
    values = values.view(8, -1)
    total, expected = torch.full(values.shape, 1e-9), torch.full(values.shape, 1e-9)
    _adding(total, values.clone())()
    expected.add_(values.abs())
    assert torch.equal(total.isnan(), expected.isnan())
    assert torch.equal(total[~total.isnan()], expected[~expected.isnan()])
