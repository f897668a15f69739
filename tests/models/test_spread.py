"""A model whose layers accelerate has dispatched is measured as one that lies in one place.

There is one device here, so what is tested are accelerate's hooks, which every method must get along with, not the
transfers.
"""

import pytest
import torch
from accelerate import dispatch_model
from random_models import needs_of, random_model, random_samples

from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import options_of
from safety_regions.methods.interface import method


def dispatched(loaded):
    places = {"model.embed_tokens": "cpu", "model.norm": "cpu", "lm_head": "cpu", "model.rotary_emb": "cpu"}
    places |= {f"model.layers.{i}": "cpu" for i in range(loaded.model.config.num_hidden_layers)}
    dispatch_model(loaded.model, places, force_hooks=True)
    return loaded


@pytest.mark.parametrize("name", CATALOGUE)
def test_dispatched_layers_change_no_statistic(name):
    samples, options = random_samples(5), options_of(name, {})
    results = []
    for loaded in (random_model("llama"), dispatched(random_model("llama"))):
        hooked = [m for m in loaded.model.modules() if hasattr(m, "_hf_hook")]
        results.append(method(name).measure(loaded, samples, options, batch_tokens=64, **needs_of(name, loaded)))
        assert [m for m in loaded.model.modules() if hasattr(m, "_hf_hook")] == hooked
        ids = torch.tensor([[5, 6, 7]])
        assert loaded.model(ids).logits.isfinite().all()
    assert hooked
    plain, spread = results
    assert plain.keys() == spread.keys()
    assert all(torch.equal(plain[key], spread[key]) for key in plain)
