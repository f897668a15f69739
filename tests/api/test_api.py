"""The library as a program of one's own uses it: by its names alone."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_model

import safety_regions as sr
from safety_regions.config.methods import options_of
from safety_regions.errors import UserError
from safety_regions.methods.interface import method
from safety_regions.models.tokens import encode_pair
from safety_regions.regions.format import hold_region
from safety_regions.regions.select import Cut

PAIRS = [("what is hay", "dried grass"), ("and straw", "the stalks of grain"), ("why", "I would rather not say")]
GRID = (0.05, 0.2)


def identified(name: str = "snip", pairs=PAIRS, family: str = "llama", **of):
    loaded = random_model(family)
    return loaded.model, sr.identify(loaded.model, loaded.tokenizer, pairs, name, fractions=GRID, **of)


def held(levels: list[int], granularity: str = "weight") -> sr.Region:
    matrix = np.array(levels, np.uint8)[None]
    return sr.Region(hold_region([("0.q", matrix)], cut=Cut(GRID, "matrix"), granularity=granularity))


def test_a_model_without_a_gate_is_identified_compared_and_ablated():
    loaded = random_model("phi")
    regions = {
        (name, n): sr.identify(loaded.model, loaded.tokenizer, PAIRS[:n], name, fractions=GRID)
        for name in ("snip", "safeneuron")
        for n in (1, 2)
    }
    for name, n_matrices in (("snip", 12), ("safeneuron", 8)):
        a, b = (regions[name, n].at(0.2) for n in (1, 2))
        assert len(a.names) == n_matrices and 0 < sr.iou(a, b) < 1
        with sr.ablate(loaded.model, sr.refine(a, [b])) as n_weights:
            assert n_weights > 0


@pytest.mark.parametrize("name", ["snip", "wanda", "safeneuron"])
def test_a_region_is_what_the_method_scores_highest(name):
    loaded = random_model("llama")
    region = sr.identify(loaded.model, loaded.tokenizer, PAIRS, name, fractions=GRID)
    samples = [encode_pair(loaded.tokenizer, *pair, eos_ids=loaded.eos_ids, id=str(i)) for i, pair in enumerate(PAIRS)]
    options, module = options_of(name, {}), method(name)
    statistics = module.measure(loaded, samples, options, batch_tokens=64)
    for matrix, levels in module.levels(loaded, statistics, options, Cut(GRID, "matrix")):
        assert np.array_equal(region.mask(matrix, 0.05), levels == 2)
        assert np.array_equal(region.at(0.2)[matrix], levels >= 1)
    assert region.grid == GRID and region.names == region.at(0.2).names


def test_a_saved_region_is_read_again_and_is_the_same(tmp_path):
    region = identified("safeneuron")[1]
    region.save(tmp_path / "region.safetensors")
    again = sr.load_region(tmp_path / "region.safetensors")
    assert again.names == region.names and again.header.granularity == "neuron"
    assert all(np.array_equal(again.mask(name, 0.2), region.mask(name, 0.2)) for name in region.names)


LEVELS = st.lists(st.integers(0, 2), min_size=70, max_size=70)


@given(LEVELS, LEVELS, LEVELS)
def test_iou_and_refinement_are_those_of_sets(a, b, c):
    masks = [held(levels).at(0.2) for levels in (a, b, c)]
    sets = [{i for i, level in enumerate(levels) if level} for levels in (a, b, c)]
    either = sets[0] | sets[1]
    found = sr.iou(masks[0], masks[1])
    assert found == len(sets[0] & sets[1]) / len(either) if either else np.isnan(found)
    refined = sr.refine(masks[0], masks[1:])
    assert set(np.flatnonzero(refined["0.q"])) == sets[0] - sets[1] - sets[2]
    assert len(refined) == len(sets[0] - sets[1] - sets[2])


@pytest.mark.parametrize("replace", ["zero", "mean"])
def test_a_region_is_out_of_the_model_for_as_long_as_it_is_asked(replace):
    model, region = identified()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    weight, mask = model.model.layers[0].self_attn.q_proj.weight, region.at(0.2)
    inside = torch.from_numpy(mask["0.q"])
    with sr.ablate(model, mask, replace) as number:
        assert number == len(mask)
        filled = torch.zeros(()) if replace == "zero" else before["model.layers.0.self_attn.q_proj.weight"].mean()
        assert (weight[inside] == filled).all()
        assert torch.equal(weight[~inside], before["model.layers.0.self_attn.q_proj.weight"][~inside])
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_of_a_neuron_all_weights_go():
    model, region = identified("safeneuron")
    mask = region.at(0.2)
    gone = np.flatnonzero(mask["0.ffn"][0])
    with sr.ablate(model, mask):
        mlp = model.model.layers[0].mlp
        assert not mlp.up_proj.weight[gone].any() and not mlp.gate_proj.weight[gone].any()
        assert not mlp.down_proj.weight[:, gone].any()


def test_the_model_is_as_it_was():
    loaded = random_model("llama")
    model = loaded.model.train()
    asked = {name: name.endswith("q_proj.weight") for name, _ in model.named_parameters()}
    for name, weight in model.named_parameters():
        weight.requires_grad_(asked[name])
    sr.identify(model, loaded.tokenizer, PAIRS, "snip", fractions=GRID)
    assert model.training and {n: w.requires_grad for n, w in model.named_parameters()} == asked
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (lambda: identified("snipp"), "no method 'snipp'"),
        (lambda: identified("safelayer"), "looks at more than pairs"),
        (lambda: identified("nlsr"), "looks at more than pairs"),
        (lambda: identified("safeneuron", family="granite_swa"), "safeneuron is not right for models of type"),
        (lambda: held([0, 1]).mask("0.k", 0.2), "no matrix '0.k'"),
        (lambda: held([0, 1]).at(0.1), "fraction 0.1"),
        (lambda: sr.iou(held([0, 1]).at(0.2), held([0, 1, 2]).at(0.2)), "masks of different matrices"),
        (lambda: sr.iou(held([0, 1]).at(0.2), held([0, 1], "neuron").at(0.2)), "masks of different matrices"),
        (lambda: sr.refine(held([0, 1]).at(0.2), []), "no utility region"),
        (lambda: sr.ablate(random_model("llama").model, held([0, 1]).at(0.2)).__enter__(), "not those of this model"),
        (lambda: sr.load_run("."), "no report"),
    ],
)
def test_a_mistake_is_told(act, found):
    with pytest.raises(UserError, match=found):
        act()


def test_a_report_is_read_as_tables(tmp_path):
    table = pd.DataFrame({"model": ["nan", "b"], "iou": [0.1 + 0.2, np.nan]})
    table.to_csv(tmp_path / "iou.csv", index=False)
    table.to_csv(tmp_path / "verdicts.csv", index=False)
    (tmp_path / "metrics.json").write_text('{"b": 1}')
    run = sr.load_run(tmp_path)
    assert run.names == ["iou", "verdicts"] and run.metrics == {"b": 1}
    pd.testing.assert_frame_equal(run["iou"], table)
    with pytest.raises(UserError, match="no table 'iuo'") as error:
        run["iuo"]
    assert "iou" in error.value.hint


def test_the_name_of_the_package_is_light_and_the_library_behind_it_comes_when_asked():
    code = (
        "import sys, safety_regions as sr\n"
        "assert 'torch' not in sys.modules and sr.__version__\n"
        "assert set(sr.__all__) <= set(dir(sr))\n"
        "sr.iou\n"
        "assert 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
