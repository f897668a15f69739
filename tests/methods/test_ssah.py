"""SSAH's variance score against its definition, token by token."""

import numpy as np
import pytest
import torch
from literal_neurons import DIM
from measured_neurons import assert_equal, random_prompts
from random_models import claiming, random_model, varied_model

from safety_regions.config.methods import Ssah
from safety_regions.errors import UserError
from safety_regions.methods import ssah
from safety_regions.methods.interface import Method
from safety_regions.models.architecture import layout_of, projections
from safety_regions.models.tokens import Sample
from safety_regions.regions.select import Cut

CUT = Cut((0.1, 0.5), "matrix")


def literal(loaded, samples, tokens):
    """By layer and kind: what W_o and W_down read at the tokens that count, sample by sample, and W itself."""
    seen = {}
    for sample in samples:
        hooks = []
        for p in projections(loaded.model):
            if kind := {"o": "v", "down": "ffn"}.get(p.kind):
                keep = seen.setdefault((p.layer, kind), (p.read(), []))[1]
                hooks.append(
                    p.module.register_forward_pre_hook(
                        lambda _, x, keep=keep: keep.append(x[0].flatten(0, -2).double())
                    )
                )
        loaded.model(torch.tensor([sample.input_ids[: sample.n_prompt]]))
        rows = list(sample.content if tokens == "content" else range(sample.n_prompt))
        for hook in hooks:
            hook.remove()
        for _, kept in seen.values():
            kept[-1] = kept[-1][rows]
    return seen


@pytest.mark.parametrize(
    ("architecture", "tokens"), [*((of, "content") for of in claiming("ssah")), ("llama", "prompt"), ("phi3", "prompt")]
)
def test_scores_are_the_variance_times_the_squared_norm(architecture, tokens):
    loaded, samples = varied_model(architecture), random_prompts(4)
    options = Ssah(tokens=tokens)
    found = ssah.measure(loaded, samples, options, batch_tokens=60)
    levels = dict(ssah.levels(loaded, found, options, CUT))
    assert list(found) == list(levels) == ["0.v", "0.ffn", "1.v", "1.ffn"]
    for (layer, kind), (weight, kept) in literal(loaded, samples, tokens).items():
        name, x = f"{layer}.{kind}", torch.cat(kept)
        assert_equal(found[name], x.var(dim=0))
        scores = [float(x[:, k].var() * weight[:, k].double().norm() ** 2) for k in range(x.shape[1])]
        if kind == "v":
            # Of 4 query heads and 2 value heads, 0 and 1 share value head 0, 2 and 3 value head 1.
            n_values = layout_of(loaded.model).n_kv_heads
            of_heads = np.array(scores).reshape(n_values, -1, DIM)
            scores = of_heads.sum(axis=1).flatten().tolist()
        order = np.argsort(scores)[::-1]
        half = len(scores) // 2
        assert {*np.flatnonzero(levels[name][0])} == {*order[:half]}
        assert levels[name].shape == (1, len(scores))


def test_a_neuron_that_is_the_same_at_every_token_is_in_no_region():
    """Planted: the first feed-forward neuron of layer 0 is off, its weight the largest there is."""
    loaded, samples = random_model("llama"), random_prompts(3)
    mlp = loaded.model.model.layers[0].mlp
    mlp.up_proj.weight[0] = 0
    mlp.down_proj.weight[:, 0] = 100
    levels = dict(
        ssah.levels(loaded, ssah.measure(loaded, samples, Ssah(), batch_tokens=60), Ssah(), Cut((1.0,), "matrix"))
    )
    assert levels["0.ffn"][0, 0] == 0 and levels["0.ffn"][0, 1:].all()


def test_batches_and_responses_do_not_matter():
    loaded, samples = random_model("gemma2"), random_prompts(6)
    other = [Sample(s.id, (*s.input_ids[: s.n_prompt], 7, 8, 9), s.n_prompt, s.content) for s in samples]
    one_by_one, together = (ssah.measure(loaded, of, Ssah(), batch_tokens=n) for of, n in ((samples, 1), (other, 160)))
    for name, values in one_by_one.items():
        assert_equal(together[name], values)
    assert isinstance(ssah, Method)


def test_one_token_has_no_variance():
    with pytest.raises(UserError, match="1 tokens to take a variance of"):
        ssah.measure(random_model("llama"), [Sample("a", (5, 6, 7), 2, range(1, 2))], Ssah(), batch_tokens=60)
