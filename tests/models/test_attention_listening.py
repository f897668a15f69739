"""Listening to the attention of a model leaves the model, and what it computes, as they are."""

from collections import Counter

import pytest
import torch
from measured_neurons import measured, random_prompts
from random_models import FAMILIES, random_model, random_samples

from safety_regions.errors import UserError
from safety_regions.models.attention import listening
from safety_regions.models.rotary import angles_of


@pytest.mark.parametrize("sizes", [{}, {"attn_logit_softcapping": 1.5, "sliding_window": 5}])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_that_is_listened_to_computes_what_it_always_does(family, sizes):
    loaded = random_model(family, **(sizes if family == "gemma2" else {}))
    ids = torch.tensor([s.input_ids for s in random_samples(3, shortest=12, longest=12)])
    calls = []
    with listening(loaded.model, lambda layer, heads: calls.append(layer)):
        found = loaded.model(ids).logits
    assert calls == [0, 1]
    assert torch.equal(found, loaded.model(ids).logits)


def hooks_of(model):
    return Counter((name, len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules())


@pytest.mark.parametrize("family", FAMILIES)
def test_measuring_leaves_the_model_as_it_was(family):
    loaded, samples = random_model(family), random_prompts(3)
    ids = torch.tensor([samples[0].input_ids])
    before, hooks, implementation = (
        loaded.model(ids).logits,
        hooks_of(loaded.model),
        loaded.model.config._attn_implementation,
    )
    weights = {k: v.clone() for k, v in loaded.model.state_dict().items()}
    measured(loaded, samples)
    with pytest.raises(ZeroDivisionError), listening(loaded.model, lambda layer, heads: 1 / 0):
        loaded.model(ids)
    assert torch.equal(before, loaded.model(ids).logits)
    assert all(torch.equal(weights[k], v) for k, v in loaded.model.state_dict().items())
    assert (hooks_of(loaded.model), loaded.model.config._attn_implementation) == (hooks, implementation)


def test_a_rotation_that_is_not_of_pairs_is_an_error():
    cos, sin = torch.ones(1, 3, 4), torch.zeros(1, 3, 4)
    with pytest.raises(UserError, match="not of pairs"):
        angles_of(lambda q, k, cos, sin: (q * cos + q.roll(1, -1) * sin, k), cos, sin)


def test_attention_that_cannot_be_listened_to_is_an_error(monkeypatch):
    loaded = random_model("llama")
    monkeypatch.setattr(type(loaded.model.model), "_can_set_attn_implementation", lambda _: False)
    with pytest.raises(UserError, match="LlamaForCausalLM"):
        measured(loaded, random_samples(1))
