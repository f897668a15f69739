"""The LoRA safety adapter: trained apart from a model, saved, loaded, added and taken away."""

import runpy
import sys
from dataclasses import replace

import pytest
import torch
from adapters import random_adapter, weights_of
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from random_models import FAMILIES, random_model
from safetensors.torch import load_file, save_file
from small_models import SMALL

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.config.models import AlignedModel, ModelSpec
from safety_regions.data import synthetic
from safety_regions.errors import UserError
from safety_regions.models.adapter import ADAPTER, ADAPTER_CONFIG, adapted, load_adapter, named_linears
from safety_regions.models.adapter_training import save_lora, with_lora
from safety_regions.models.folder import save
from safety_regions.models.load import load_model
from safety_regions.models.sources import Inputs, aligned
from safety_regions.planning.recipes.models import AdapterRecipe, model_recipe
from safety_regions.steps.adapter import train_adapter

OPTIONS = {
    "harmful": ["syn_steal"],
    "harmless": ["syn_chores"],
    "offset": 10,
    "n_samples": 30,
    "n_held_out": 4,
    "rank": 4,
    "alpha": 8.0,
    "learning_rate": 2e-2,
    "steps": 6,
    "batch_size": 4,
    "seed": 0,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A random model of one layer, rows of two sets, and the adapter trained on them, with its recipe."""
    root = tmp_path_factory.mktemp("adapter")
    (root / "base").mkdir()
    loaded = random_model("qwen2", num_hidden_layers=1)
    save(loaded.model, loaded.tokenizer, root / "base")
    base = receipts.write(
        root / "base", model_recipe("base", ModelSpec(source=SMALL, licence="", citation="")).as_json(), {}
    )
    data, digests = {}, {}
    for name in [*OPTIONS["harmful"], *OPTIONS["harmless"]]:
        data[name] = root / f"{name}.jsonl"
        rows = [
            {"id": f"{name}-{i}", "prompt": r["prompt"], "response": r["response"]}
            for i, r in enumerate(synthetic.rows(name))
        ]
        files.write_jsonl(data[name], rows)
        digests[name] = receipts.write(data[name], {"kind": "dataset", "dataset": name}, {}).digest
    recipe = AdapterRecipe(model=base.digest, data=digests, options=OPTIONS)
    train_adapter(recipe, root / "base", data, root / "adapter", "cpu")
    return root, data, recipe


def test_the_script_makes_the_same_bytes_again(made, tmp_path, monkeypatch):
    root, data, recipe = made
    pairs = [f"{name}={path}" for name, path in data.items()]
    arguments = [
        "--recipe",
        files.canonical_json(recipe.as_json()),
        "--model",
        root / "base",
        "--device",
        "cpu",
        "--output",
        tmp_path / "again",
        "--data",
        *pairs,
    ]
    monkeypatch.setattr(sys, "argv", ["train_adapter.py", *map(str, arguments)])
    runpy.run_path("scripts/train_adapter.py", run_name="__main__")
    assert receipts.check(tmp_path / "again") == receipts.check(root / "adapter", recipe.digest)


def test_the_seed_decides_the_bytes(made, tmp_path):
    root, data, recipe = made
    other = train_adapter(replace(recipe, options=OPTIONS | {"seed": 1}), root / "base", data, tmp_path / "x", "cpu")
    assert other.files[ADAPTER] != receipts.read(root / "adapter").files[ADAPTER]


def test_an_aligned_model_gets_the_same_adapter(made, tmp_path):
    root, data, recipe = made
    source = AlignedModel(kind="aligned", base="base", **OPTIONS)
    of_model = model_recipe(
        "aligned",
        ModelSpec(source=source, licence="", citation=""),
        base_digest=recipe.model,
        data_digests=recipe.data,
    )
    facts = aligned.make(source, of_model, Inputs(root / "base", data, device="cpu"), tmp_path)
    assert (tmp_path / ADAPTER).read_bytes() == (root / "adapter" / ADAPTER).read_bytes()
    assert facts == receipts.read(root / "adapter").facts


def test_the_model_stays_as_it_is_and_only_the_adapter_is_saved(made):
    root, _, recipe = made
    receipts.check(root / "base", recipe.model)
    assert set(receipts.check(root / "adapter").files) == {ADAPTER, ADAPTER_CONFIG}


def test_receipt_counts_and_compares(made):
    facts = receipts.read(made[0] / "adapter").facts
    assert facts["n_training"] == {"syn_steal": 30, "syn_chores": 30}
    assert set(facts["refusal_rate_before"]) == set(facts["refusal_rate_after"]) == {"syn_steal", "syn_chores"}
    assert facts["final_loss"] < facts["first_loss"]


def test_inputs_of_another_recipe_are_refused(made, tmp_path):
    root, data, recipe = made
    for changed in ({"model": "0" * 64}, {"data": recipe.data | {"syn_steal": "0" * 64}}):
        with pytest.raises(UserError, match="made by recipe"):
            train_adapter(replace(recipe, **changed), root / "base", data, tmp_path / "x", "cpu")
    assert not (tmp_path / "x").exists()


def test_the_trained_adapter_loads_on_its_model(made):
    model = load_model(made[0] / "base").model
    adapter = load_adapter(made[0] / "adapter", model)
    assert adapter.scaling == 2.0
    assert list(adapter.factors) == ["0.q", "0.k", "0.v", "0.o", "0.gate", "0.up", "0.down"]
    assert all(b.abs().max() > 0 for _, b in adapter.factors.values())


@pytest.mark.parametrize("family", [*FAMILIES, "gpt2"])
def test_added_weights_are_those_that_peft_merges(family, tmp_path):
    loaded, other = random_model(family), random_model(family)
    peft_model = with_lora(other.model, rank=3, alpha=5.0)
    draw = torch.Generator().manual_seed(0)
    state = {name: torch.randn(t.shape, generator=draw) for name, t in get_peft_model_state_dict(peft_model).items()}
    set_peft_model_state_dict(peft_model, state)
    save_lora(peft_model, tmp_path)
    merged = peft_model.merge_and_unload().state_dict()
    before = weights_of(loaded.model)
    with adapted(loaded, load_adapter(tmp_path, loaded.model)):
        assert all(torch.equal(merged[name], weight) for name, weight in loaded.model.state_dict().items())
        assert any(not torch.equal(before[name], weight) for name, weight in merged.items())


def test_fused_linears_have_one_pair_of_factors():
    names = list(named_linears(random_model("phi3").model))
    assert names == ["0.qkv", "0.o", "0.gateup", "0.down", "1.qkv", "1.o", "1.gateup", "1.down"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_model_is_restored_bit_for_bit_also_after_an_error(dtype):
    loaded = random_model("llama", dtype=dtype)
    adapter, before = random_adapter(loaded.model), weights_of(loaded.model)
    with pytest.raises(RuntimeError, match="in the block"), adapted(loaded, adapter):
        changed = loaded.model.state_dict()
        assert not any(torch.equal(changed[name], before[name]) for name in changed if "_proj" in name)
        raise RuntimeError("in the block")
    assert all(torch.equal(before[name], weight) for name, weight in loaded.model.state_dict().items())


def test_the_model_is_restored_when_adding_itself_fails():
    loaded = random_model("llama")
    adapter, before = random_adapter(loaded.model), weights_of(loaded.model)
    a, b = adapter.factors["1.up"]
    adapter.factors["1.up"] = (a[:, 1:], b)
    with pytest.raises(RuntimeError, match="size"), adapted(loaded, adapter):
        pass
    assert all(torch.equal(before[name], weight) for name, weight in loaded.model.state_dict().items())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_hidden_layers": 2}, "no factors for model.layers.1.self_attn.q_proj"),
        ({"num_hidden_layers": 1, "intermediate_size": 64}, r"\(4, 32\) and \(48, 4\) for .*gate_proj.*\(64, 4\)"),
    ],
)
def test_an_adapter_of_another_model_is_refused(made, sizes, message):
    with pytest.raises(UserError, match=f"(?s){message}"):
        load_adapter(made[0] / "adapter", random_model("qwen2", **sizes).model)


def test_factors_that_no_scored_linear_takes_are_refused(made, tmp_path):
    (tmp_path / ADAPTER_CONFIG).write_bytes((made[0] / "adapter" / ADAPTER_CONFIG).read_bytes())
    tensors = load_file(made[0] / "adapter" / ADAPTER)
    save_file(tensors | {"base_model.model.lm_head.lora_A.weight": torch.zeros(4, 32)}, tmp_path / ADAPTER)
    with pytest.raises(UserError, match=r"not a scored linear: .*lm_head"):
        load_adapter(tmp_path, load_model(made[0] / "base").model)


def test_a_folder_without_an_adapter_is_refused(made):
    with pytest.raises(UserError, match=f"no {ADAPTER} and no {ADAPTER_CONFIG}"):
        load_adapter(made[0] / "base", load_model(made[0] / "base").model)
