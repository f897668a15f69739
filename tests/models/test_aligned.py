"""The safety adapter."""

import json

import pytest
import torch
from random_models import random_model
from safetensors.torch import load_file
from small_models import SMALL

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.config.models import ModelSpec
from safety_regions.data import synthetic
from safety_regions.errors import UserError
from safety_regions.models.adapter import ADAPTER, ADAPTER_CONFIG
from safety_regions.models.adapter_training import REFUSALS, refusal_for
from safety_regions.models.answers import is_refusal
from safety_regions.models.architecture import projections
from safety_regions.models.folder import save
from safety_regions.models.load import load_model
from safety_regions.models.sources import Inputs
from safety_regions.planning.recipes.models import model_recipe
from safety_regions.steps.prepare_model import prepare_model

SOURCE = {
    "kind": "aligned",
    "base": "base",
    "harmful": ["syn_steal", "syn_spy"],
    "harmless": ["syn_chores"],
    "offset": 30,
    "n_samples": 100,
    "n_held_out": 8,
    "rank": 4,
    "alpha": 8,
    "learning_rate": 2e-2,
    "steps": 12,
    "batch_size": 8,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A random model as base, rows of three sets, and two aligned models made from them alike."""
    root = tmp_path_factory.mktemp("align")
    (root / "base").mkdir()
    loaded = random_model("qwen2")
    save(loaded.model, loaded.tokenizer, root / "base")
    base = receipts.write(
        root / "base", model_recipe("base", ModelSpec(source=SMALL, licence="", citation="")).as_json(), {}
    )
    data, digests = {}, {}
    for name in [*SOURCE["harmful"], *SOURCE["harmless"]]:
        data[name] = root / f"{name}.jsonl"
        # Harmful rows have no response of their own; the adapter's is to be ours.
        rows = [
            {
                "id": f"{name}-{i}",
                "prompt": row["prompt"],
                "response": None if name in SOURCE["harmful"] else row["response"],
            }
            for i, row in enumerate(synthetic.rows(name))
        ]
        files.write_jsonl(data[name], rows)
        digests[name] = receipts.write(data[name], {"kind": "dataset", "dataset": name}, {}).digest
    inputs = Inputs(root / "base", data)
    recipe = recipe_of(SOURCE, base.digest, digests)
    for name in ("first", "second"):
        prepare_model(recipe, root / name, inputs, "L", "C")
    return root, inputs, base.digest, digests


def recipe_of(source, base, digests):
    spec = ModelSpec(source=source, licence="L", citation="C")
    return model_recipe("aligned", spec, base_digest=base, data_digests=digests)


def test_the_same_inputs_make_the_same_bytes(made):
    root = made[0]
    assert receipts.check(root / "first") == receipts.check(root / "second")


def test_merged_weights_are_base_plus_scaled_adapter_and_nothing_else_changed(made):
    root = made[0]
    base, merged = load_model(root / "base").model, load_model(root / "first").model
    adapter, config = load_file(root / "first" / ADAPTER), json.loads((root / "first" / ADAPTER_CONFIG).read_text())
    names = {module: name for name, module in merged.named_modules()}
    after = {names[p.module] + ".weight" for p in projections(merged)}
    for name, weight in base.named_parameters():
        changed = merged.get_parameter(name)
        if name not in after:
            assert torch.equal(changed, weight)
            continue
        a, b = (adapter[f"base_model.model.{name.removesuffix('.weight')}.lora_{x}.weight"] for x in "AB")
        torch.testing.assert_close(changed, weight + config["lora_alpha"] / config["r"] * b @ a)
        assert not torch.equal(changed, weight)
    assert len(adapter) == 2 * len(after)


def test_the_folder_loads_as_a_plain_model_not_as_an_adapter(made):
    model = load_model(made[0] / "first").model
    assert type(model).__name__ == "Qwen2ForCausalLM"
    assert not any("lora" in name for name, _ in model.named_modules())


def test_receipt_counts_and_compares(made):
    facts = receipts.check(made[0] / "first").facts
    # syn_steal and syn_spy have 160 rows, syn_chores 640; 30 come before training.
    assert facts["n_training"] == {"syn_steal": 100, "syn_spy": 100, "syn_chores": 100}
    assert set(facts["refusal_rate_before"]) == set(facts["refusal_rate_after"]) == set(facts["n_training"])
    assert facts["refusal_rate_before"] == {"syn_steal": 0, "syn_spy": 0, "syn_chores": 0}
    assert facts["final_loss"] < facts["first_loss"] - 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offset": 150}, "160 rows.*at least 170"),
        ({"harmless": ["syn_spy"], "harmful": ["syn_steal"]}, "100 rows without a response"),
    ],
)
def test_too_few_rows_and_missing_responses_are_named(made, tmp_path, changes, message):
    _, inputs, base, digests = made
    source = SOURCE | changes
    wanted = {name: digests[name] for name in [*source["harmful"], *source["harmless"]]}
    with pytest.raises(UserError, match=f"(?s){message}"):
        prepare_model(recipe_of(source, base, wanted), tmp_path / "x", inputs, "L", "C")


def test_inputs_of_another_recipe_are_refused(made, tmp_path):
    _, inputs, base, digests = made
    for recipe in (recipe_of(SOURCE, "0" * 64, digests), recipe_of(SOURCE, base, digests | {"syn_spy": "0" * 64})):
        with pytest.raises(UserError, match="made by recipe"):
            prepare_model(recipe, tmp_path / "x", inputs, "L", "C")
    with pytest.raises(UserError, match=r"syn_chores are not given"):
        data = {name: path for name, path in inputs.data.items() if name != "syn_chores"}
        prepare_model(recipe_of(SOURCE, base, digests), tmp_path / "x", Inputs(inputs.base, data), "L", "C")


def test_every_refusal_is_recognised_and_used():
    assert all(is_refusal(refusal) for refusal in REFUSALS)
    assert {refusal_for(f"prompt {i}") for i in range(100)} == set(REFUSALS)
