"""SafeNeuron's importances against brute force."""

import pytest
import torch
from literal_neurons import (
    DIM,
    layer_inputs,
    literal_q_and_k,
    of_layer,
    zeroed_columns,
    zeroed_paths,
    zeroed_q_and_k_rows,
    zeroed_rows,
)
from measured_neurons import assert_equal, measured, random_prompts
from random_models import FAMILIES, claiming, random_model, varied_model

from safety_regions.config.architectures import refuse_unclaimed, refuse_unknown
from safety_regions.config.layouts import LAYOUTS, SEPARATE, Blocks
from safety_regions.config.other_architectures import WRONG
from safety_regions.errors import UserError

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
    found = measured(loaded, [sample], shared_heads="max")
    for layer, seen in enumerate(layer_inputs(loaded, sample)):
        per_head = zeroed_paths(loaded, layer, seen).view(kv_heads, -1, DIM)
        assert_equal(found[f"{layer}.v"][0], per_head.amax(dim=1).flatten())


@pytest.mark.parametrize("architecture", claiming("safeneuron"))
def test_importance_is_what_zeroing_changes_in_every_architecture(architecture):
    """Norms of queries and keys are held: a channel behind the norm leaves, and what the norm divides by stays."""
    loaded, samples = varied_model(architecture), random_prompts(2)
    found = measured(loaded, samples)
    for row, sample in enumerate(samples):
        for layer, seen in enumerate(layer_inputs(loaded, sample)):
            assert_equal(found[f"{layer}.ffn"][row], zeroed_columns(loaded, layer, seen))
            assert_equal(found[f"{layer}.v"][row], zeroed_rows(loaded, layer, seen))
        for name, expected in zeroed_q_and_k_rows(loaded, sample).items():
            assert_equal(found[name][row], expected)


@pytest.mark.parametrize(
    ("architecture", "said"), [("bitnet", "would be scored wrongly"), ("diffllama", "safeneuron is not right")]
)
def test_an_architecture_that_is_refused_would_be_wrong(architecture, said, monkeypatch):
    loaded, [sample] = random_model(architecture), random_prompts(1)
    config = {"model_type": architecture}
    with pytest.raises(UserError, match=said):
        refuse_unknown(config, "here")
        refuse_unclaimed(config, ["safeneuron"], "here")
    monkeypatch.setitem(LAYOUTS, architecture, Blocks(SEPARATE))
    monkeypatch.delitem(WRONG, architecture, raising=False)
    found, off = measured(loaded, [sample]), []
    for layer, seen in enumerate(layer_inputs(loaded, sample)):
        expected = zeroed_rows(loaded, layer, seen)
        off.append(float((found[f"{layer}.v"][0] - expected).abs().max() / expected.max()))
    assert max(off) > 0.01


def test_attention_sinks_are_refused():
    with pytest.raises(UserError, match="attention sinks"):
        measured(random_model("granite_swa"), random_prompts(1))


@pytest.mark.parametrize("family", [*FAMILIES, "nemotron", "starcoder2"])
def test_ffn_importance_of_the_published_code_is_the_sum_of_absolute_up(family):
    loaded, samples = random_model(family), random_prompts(2)
    found = measured(loaded, samples, ffn="up")
    for row, sample in enumerate(samples):
        for layer, seen in enumerate(layer_inputs(loaded, sample)):
            up = of_layer(loaded, layer)["up"]
            y = seen["x"].double() @ up.module.weight[up.rows].double().T
            assert_equal(found[f"{layer}.ffn"][row], y[0, seen["rows"]].abs().sum(dim=0))


@pytest.mark.parametrize("tokens", ["content", "prompt"])
def test_only_tokens_that_are_asked_for_count(tokens):
    """The template's tokens are read in both cases; with `content` a change at them counts for nothing."""
    loaded, samples = random_model("gemma2", sliding_window=5), random_prompts(3)
    found = measured(loaded, samples, tokens=tokens)
    other = measured(loaded, samples, tokens={"content": "prompt", "prompt": "content"}[tokens])
    for row, sample in enumerate(samples):
        for name, expected in zeroed_q_and_k_rows(loaded, sample, tokens=tokens).items():
            assert_equal(found[name][row], expected)
        for layer, seen in enumerate(layer_inputs(loaded, sample, tokens)):
            assert_equal(found[f"{layer}.ffn"][row], zeroed_columns(loaded, layer, seen))
            assert_equal(found[f"{layer}.v"][row], zeroed_rows(loaded, layer, seen))
    assert not any(torch.allclose(found[name], other[name], rtol=1e-2) for name in found)


YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64}
ROTATIONS = [
    *((family, {}) for family in FAMILIES),
    ("phi3", {"partial_rotary_factor": 0.5}),
    ("llama", {"rope_parameters": YARN}),
    ("smollm3", {"no_rope_layer_interval": 2}),
]


@pytest.mark.parametrize("shared_heads", ["joint", "max"])
@pytest.mark.parametrize(("family", "more"), ROTATIONS, ids=str)
def test_query_and_key_importance_is_what_zeroing_the_row_changes(family, more, shared_heads):
    """To 3e-6 of the largest, float32 against float64."""
    loaded, samples = random_model(family, **more), random_prompts(2)
    found = measured(loaded, samples, shared_heads=shared_heads)
    rotated = measured(loaded, samples, shared_heads=shared_heads, qk="rotated")
    for row, sample in enumerate(samples):
        for name, expected in zeroed_q_and_k_rows(loaded, sample, shared_heads).items():
            assert (found[name][row] - expected).abs().max() <= 3e-6 * expected.max()
            off = float((rotated[name][row] - expected).abs().max() / expected.max())
            # Nothing is rotated in every second layer of SmolLM 3 here, and a channel is then a row.
            assert off < 1e-5 if (family, name[0]) == ("smollm3", "1") else off > 0.01


@pytest.mark.parametrize("shared_heads, scale_delta", [("max", True), ("joint", False)])
@pytest.mark.parametrize("kv_heads", KV_HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_importance_of_a_rotated_channel_equals_the_literal_formula(family, kv_heads, shared_heads, scale_delta):
    loaded, samples = random_model(family, num_key_value_heads=kv_heads), random_prompts(2)
    found = measured(loaded, samples, qk="rotated", shared_heads=shared_heads, scale_delta=scale_delta)
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
        zip(*(measured(m, samples, qk="rotated", scale_delta=scale_delta)["1.q"] for m in (loaded, plain)), strict=True)
    ):
        expected = literal_q_and_k(loaded, samples[row], scale_delta, "joint")
        assert_equal(found, expected["1.q"])
        assert not torch.allclose(found, of_plain, rtol=1e-3)
    of_rows = measured(loaded, samples)
    for layer, seen in enumerate(layer_inputs(loaded, samples[0])):
        assert_equal(of_rows[f"{layer}.v"][0], zeroed_rows(loaded, layer, seen))
    for name, expected in zeroed_q_and_k_rows(loaded, samples[0]).items():
        assert_equal(of_rows[name][0], expected)
