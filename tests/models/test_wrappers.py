"""Decoders behind an encoder of images: what is measured is what is measured of the decoder alone, bit for bit."""

import json

import pytest
import torch
from random_models import ALONE, ARCHITECTURES, TEXT_OF_WRAPPERS, needs_of, random_model, random_samples
from transformers import AutoConfig

from safety_regions.artifacts import receipts
from safety_regions.config.architectures import TIED, WRAPPERS
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import options_of
from safety_regions.errors import UserError
from safety_regions.methods.interface import method
from safety_regions.models.adapter import load_adapter, named_linears
from safety_regions.models.adapter_training import save_lora, with_lora
from safety_regions.models.architecture import decoder_of, layout_of, projections
from safety_regions.models.folder import save
from safety_regions.models.load import LoadedModel, load_model
from safety_regions.planning.model_size import size_from_config


def wrapper_and_text(wrapper: str) -> tuple[LoadedModel, LoadedModel]:
    """A wrapper, and the decoder in it as a model by itself."""
    inside = TEXT_OF_WRAPPERS.get(wrapper, "llama")
    architecture = ALONE.get(inside, inside)
    options = dict(ARCHITECTURES[architecture])
    if inside in ALONE:
        options["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e4}
    whole = random_model(wrapper, vectors=True, **options)
    text = random_model(architecture, **options)
    text.model.model.load_state_dict(decoder_of(whole.model).state_dict())
    text.model.lm_head.load_state_dict(whole.model.lm_head.state_dict())
    return whole, text


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_method_measures_what_it_measures_of_the_decoder_alone(wrapper):
    whole, text = wrapper_and_text(wrapper)
    assert layout_of(whole.model) == layout_of(text.model)
    samples = random_samples(3)
    for name in CATALOGUE:
        found, expected = (
            method(name).measure(loaded, samples, options_of(name, {}), batch_tokens=60, **needs_of(name, loaded))
            for loaded in (whole, text)
        )
        assert found.keys() == expected.keys() != set()
        assert all(torch.equal(found[matrix], expected[matrix]) for matrix in expected), name


@pytest.mark.parametrize("wrapper", ["gemma3", "idefics3"])
def test_an_adapter_leaves_the_encoder_alone(wrapper, tmp_path):
    loaded = random_model(wrapper)
    scored = {
        name for name, module in loaded.model.named_modules() if module in {*named_linears(loaded.model).values()}
    }
    peft_model = with_lora(loaded.model, 2, 4.0)
    adapted = {name.split(".lora_")[0] for name, _ in peft_model.named_parameters() if ".lora_" in name}
    assert adapted == {f"base_model.model.{name}" for name in scored}
    save_lora(peft_model, tmp_path)
    assert json.loads((tmp_path / "lora.json").read_text())["target_modules"] == sorted(
        {name.split(".")[-1] for name in scored}
    )
    assert [*load_adapter(tmp_path, peft_model.unload()).factors] == [*named_linears(random_model(wrapper).model)]


@pytest.mark.parametrize("wrapper", ["gemma3", "mistral3"])
def test_a_saved_wrapper_loads_whole_and_says_so_if_it_is_not(wrapper, tmp_path):
    loaded = random_model(wrapper)
    save(loaded.model, loaded.tokenizer, tmp_path)
    receipts.write(tmp_path, {"kind": "model", "dtype": "float32"}, {})
    again = load_model(tmp_path)
    assert type(again.model) is type(loaded.model)
    for found, expected in zip(projections(again.model), projections(loaded.model), strict=True):
        assert torch.equal(found.module.weight, expected.module.weight)
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"] |= {"num_hidden_layers": 1, "layer_types": None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    receipts.write(tmp_path, {"kind": "model", "dtype": "float32"}, {})
    with pytest.raises(UserError, match=r"more than config\.json asks for"):
        load_model(tmp_path)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_its_size_is_that_of_the_decoder_and_an_encoder_from_above(wrapper):
    model = random_model(wrapper).model
    size = size_from_config(model.config.to_dict(), "float32")
    assert size.scored == sum(rows * columns for rows, columns in (p.shape for p in projections(model)))
    decoder = size_from_config(decoder_of(model).config.to_dict() | {"tie_word_embeddings": True}, "float32")
    assert size.parameters > decoder.parameters
    assert AutoConfig.for_model(wrapper).tie_word_embeddings == (wrapper in TIED)
