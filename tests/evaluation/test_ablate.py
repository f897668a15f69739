"""Taking regions out of models: what is left is what edited copies have, and the weights come back."""

import copy

import numpy as np
import pytest
import torch
from random_masks import header_for, packed, random_masks
from random_models import FAMILIES, random_model

from safety_regions.evaluation.ablate import ablated, without_entries
from safety_regions.models.adapter import LoraAdapter, adapted, named_linears
from safety_regions.models.architecture import layout_of, projections
from safety_regions.regions.format import pack
from safety_regions.regions.owned_weights import expand, own_shapes

IDS = torch.tensor([[5, 9, 30, 200, 17]])


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_bits(model, before):
    # Compared as integers, so that -0.0 and 0.0 count as different.
    return all(torch.equal(t.view(torch.int16), before[n].view(torch.int16)) for n, t in model.state_dict().items())


@pytest.mark.parametrize("replace", ["zero", "mean"])
@pytest.mark.parametrize("family", [*FAMILIES, "gpt_neox", "gpt2"])
def test_ablated_model_equals_a_copy_with_edited_weights(family, replace):
    loaded = random_model(family)
    masks = random_masks(layout_of(loaded.model).shapes, 0.2)
    edited = copy.deepcopy(loaded.model)
    for p in projections(edited):
        rows = p.read()
        mean = rows.double().mean()
        for i, j in np.argwhere(masks[p.name]):
            rows[i, j] = 0 if replace == "zero" else mean
        p.write(rows)
    before = state(loaded.model)
    with ablated(projections(loaded.model), packed(masks), replace) as n:
        torch.testing.assert_close(dict(loaded.model.named_parameters()), dict(edited.named_parameters()))
        torch.testing.assert_close(loaded.model(IDS).logits, edited(IDS).logits)
        assert n == sum(int(mask.sum()) for mask in masks.values())
    assert same_bits(loaded.model, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_come_back_bit_for_bit_after_an_exception(dtype):
    loaded = random_model("phi3", dtype=dtype)
    masks = random_masks(layout_of(loaded.model).shapes, 0.5)
    before = state(loaded.model)
    with pytest.raises(KeyboardInterrupt), ablated(projections(loaded.model), packed(masks), "zero"):
        assert not same_bits(loaded.model, before)
        raise KeyboardInterrupt
    assert same_bits(loaded.model, before)
    masks.pop("1.down")
    with pytest.raises(KeyError), ablated(projections(loaded.model), packed(masks), "zero"):
        pass
    assert same_bits(loaded.model, before)


@pytest.mark.parametrize("family", [*FAMILIES, "nemotron", "phi", "gpt2"])
@pytest.mark.parametrize(("neurons", "halves"), [("v", ("v", "o")), ("ffn", ("up", "down"))])
def test_a_neuron_owns_the_columns_that_it_feeds(family, neurons, halves):
    """What it writes is read nowhere else: without its row, or without its columns, the model computes the same."""
    loaded = random_model(family)
    layout = layout_of(loaded.model)
    header = header_for("neuron", own_shapes("neuron", layout))
    own = random_masks(header.shapes, 0.3)
    chosen = {name: mask & name.endswith(neurons) for name, mask in own.items()}
    logits = []
    for half in halves:
        nothing = {name: np.zeros(shape, bool) for name, shape in layout.shapes.items()}

        def masks(name, half=half, nothing=nothing):
            inside = name.endswith(f".{half}")
            return expand(name, packed(chosen), header, layout) if inside else pack(nothing[name])

        with ablated(projections(loaded.model), masks, "zero"):
            logits.append(loaded.model(IDS).logits)
    torch.testing.assert_close(*logits)
    assert not torch.allclose(logits[0], loaded.model(IDS).logits)


def random_adapter(model, rank=3):
    torch.manual_seed(1)
    shapes = {name: module.weight.shape for name, module in named_linears(model).items()}
    return LoraAdapter(
        2.0,
        {name: (torch.randn(rank, n_in) / 4, torch.randn(n_out, rank) / 4) for name, (n_out, n_in) in shapes.items()},
    )


@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize("replace", ["zero", "mean"])
@pytest.mark.parametrize("family", ["llama", "phi3"])
def test_adapter_without_entries_equals_the_formula(family, replace, merged):
    loaded = random_model(family)
    adapter = random_adapter(loaded.model)
    masks = random_masks(
        {f"{n}_{f}": x.shape for n, pair in adapter.factors.items() for f, x in zip("ab", pair, strict=True)}, 0.3
    )
    spared = next(iter(adapter.factors))
    masks |= {f"{spared}_{factor}": np.zeros_like(masks[f"{spared}_{factor}"]) for factor in "ab"}
    before = state(loaded.model)
    expected = {}
    for name, module in named_linears(loaded.model).items():
        whole, left = [], []
        for factor, matrix in zip("ab", adapter.factors[name], strict=True):
            edited = matrix.clone()
            edited[torch.from_numpy(masks[f"{name}_{factor}"])] = 0 if replace == "zero" else matrix.mean()
            whole.append(matrix)
            left.append(edited)
        change = 2.0 * left[1] @ left[0] - (2.0 * whole[1] @ whole[0] if merged else 0)
        expected[name] = module.weight + change
    with adapted(loaded, without_entries(adapter, packed(masks), replace, merged=merged)):
        for name, module in named_linears(loaded.model).items():
            torch.testing.assert_close(module.weight.data, expected[name], rtol=1e-5, atol=1e-5)
            assert torch.equal(module.weight, expected[name]) or name != spared or not merged
    assert same_bits(loaded.model, before)
