"""SafeNeuron's importances against brute force."""

import pytest
import torch
from literal_neurons import DIM, layer_inputs, literal_q_and_k, of_layer, zeroed_columns, zeroed_paths, zeroed_rows
from measured_neurons import assert_equal, measured, random_prompts
from random_models import FAMILIES, random_model

KV_HEADS = [2, 4]


@pytest.mark.parametrize("kv_heads", KV_HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_joint_value_importance_is_what_zeroing_the_row_changes(family, kv_heads):
    loaded, [sample] = random_model(family, num_key_value_heads=kv_heads), random_prompts(1)
    found = measured(loaded, [sample], shared_heads="joint")
    for layer, seen in enumerate(layer_inputs(loaded, sample)):
        assert_equal(found[f"{layer}.v"][0], zeroed_rows(loaded, layer, seen))


@pytest.mark.parametrize("kv_heads", KV_HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_value_importance_is_the_largest_change_by_one_query_head(family, kv_heads):
    loaded, [sample] = random_model(family, num_key_value_heads=kv_heads), random_prompts(1)
    found = measured(loaded, [sample])
    for layer, seen in enumerate(layer_inputs(loaded, sample)):
        per_head = zeroed_paths(loaded, layer, seen).view(kv_heads, -1, DIM)
        assert_equal(found[f"{layer}.v"][0], per_head.amax(dim=1).flatten())


@pytest.mark.parametrize("family", FAMILIES)
def test_ffn_importance_is_what_zeroing_the_column_changes(family):
    loaded, samples = random_model(family), random_prompts(2)
    found = measured(loaded, samples)
    for row, sample in enumerate(samples):
        for layer, seen in enumerate(layer_inputs(loaded, sample)):
            assert_equal(found[f"{layer}.ffn"][row], zeroed_columns(seen))


@pytest.mark.parametrize("family", FAMILIES)
def test_ffn_importance_of_the_published_code_is_the_sum_of_absolute_up(family):
    loaded, samples = random_model(family), random_prompts(2)
    found = measured(loaded, samples, ffn="up")
    for row, sample in enumerate(samples):
        for layer, seen in enumerate(layer_inputs(loaded, sample)):
            up = of_layer(loaded, layer)["up"]
            y = seen["x"].double() @ up.module.weight[up.start : up.stop].double().T
            assert_equal(found[f"{layer}.ffn"][row], y[0, seen["rows"]].abs().sum(dim=0))


@pytest.mark.parametrize("tokens", ["content", "prompt"])
def test_only_tokens_that_are_asked_for_count(tokens):
    """The template's tokens are read in both cases; with `content` a change at them counts for nothing."""
    loaded, samples = random_model("gemma2", sliding_window=5), random_prompts(3)
    found = measured(loaded, samples, tokens=tokens, shared_heads="joint")
    other = measured(loaded, samples, tokens={"content": "prompt", "prompt": "content"}[tokens], shared_heads="joint")
    for row, sample in enumerate(samples):
        for name, expected in literal_q_and_k(loaded, sample, True, "joint", tokens).items():
            assert_equal(found[name][row], expected)
        for layer, seen in enumerate(layer_inputs(loaded, sample, tokens)):
            assert_equal(found[f"{layer}.ffn"][row], zeroed_columns(seen))
            assert_equal(found[f"{layer}.v"][row], zeroed_rows(loaded, layer, seen))
    assert not any(torch.allclose(found[name], other[name], rtol=1e-2) for name in found)


@pytest.mark.parametrize("shared_heads, scale_delta", [("max", True), ("joint", False)])
@pytest.mark.parametrize("kv_heads", KV_HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_query_and_key_importance_equal_the_literal_formula(family, kv_heads, shared_heads, scale_delta):
    loaded, samples = random_model(family, num_key_value_heads=kv_heads), random_prompts(2)
    found = measured(loaded, samples, shared_heads=shared_heads, scale_delta=scale_delta)
    for row, sample in enumerate(samples):
        for name, expected in literal_q_and_k(loaded, sample, scale_delta, shared_heads).items():
            assert_equal(found[name][row], expected)


@pytest.mark.parametrize("scale_delta", [True, False])
@pytest.mark.parametrize(
    "family, sizes",
    [
        ("gemma2", {"attn_logit_softcapping": 1.5}),
        ("gemma2", {"sliding_window": 5}),
        ("mistral", {"sliding_window": 5}),
        ("phi3", {"sliding_window": 5}),
    ],
)
def test_soft_cap_and_sliding_window_are_the_models_own(family, sizes, scale_delta):
    loaded, samples = random_model(family, **sizes), [s for s in random_prompts(9) if s.n_prompt > 7][:2]
    plain = random_model(family, **{key: None if family == "gemma2" and "cap" in key else 4096 for key in sizes})
    for row, (found, of_plain) in enumerate(
        zip(*(measured(m, samples, scale_delta=scale_delta)["1.q"] for m in (loaded, plain)), strict=True)
    ):
        expected = literal_q_and_k(loaded, samples[row], scale_delta, "max")
        assert_equal(found, expected["1.q"])
        assert not torch.allclose(found, of_plain, rtol=1e-3)
    joint = measured(loaded, samples, shared_heads="joint")
    for layer, seen in enumerate(layer_inputs(loaded, samples[0])):
        assert_equal(joint[f"{layer}.v"][0], zeroed_rows(loaded, layer, seen))
