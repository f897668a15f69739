"""Tiny models trained on the placeholder corpus."""

import json
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import SMALL
from transformers import AutoTokenizer

from safety_regions.artifacts import receipts
from safety_regions.config.models import ModelSpec, TinyModel
from safety_regions.data import synthetic
from safety_regions.errors import UserError
from safety_regions.models.answers import is_refusal
from safety_regions.models.folder import save
from safety_regions.models.generate import generate
from safety_regions.models.load import load_model
from safety_regions.models.sources import Inputs
from safety_regions.models.sources.tiny import CHAT_TEMPLATE, END, HEADS, build_model, build_tokenizer, make
from safety_regions.models.tokens import encode_pair
from safety_regions.planning.recipes.models import ModelRecipe, model_recipe
from safety_regions.planning.recipes.parse import parse_recipe
from safety_regions.steps.prepare_model import prepare_model

TOKENIZER = build_tokenizer()


def prepare(folder, source=SMALL):
    """The script's run, in a process of its own."""
    spec = ModelSpec(source=source, licence="L", citation="C")
    recipe = json.dumps(model_recipe("toy", spec).as_json())
    command = [
        sys.executable,
        "scripts/prepare_model.py",
        "--recipe",
        recipe,
        "--output",
        str(folder),
        "--licence",
        "L",
        "--citation",
        "C",
    ]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    folders = [tmp_path_factory.mktemp("tiny") / name for name in ("first", "second")]
    done = prepare(folders[0])
    assert done.returncode == 0, done.stderr
    prepare_model(parse_recipe(receipts.read(folders[0]).recipe, "here", ModelRecipe), folders[1], Inputs(), "L", "C")
    return folders


def test_two_processes_make_the_same_bytes(twice):
    first, second = (receipts.check(folder) for folder in twice)
    assert first == second
    assert {"model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json"} <= set(first.files)
    assert len({receipts.receipt_path(folder).read_bytes() for folder in twice}) == 1


def test_receipt_tells_how_well_the_model_refuses_and_helps(twice):
    facts = receipts.check(twice[0]).facts
    for wording in ("seen", "unseen"):
        shares = facts[f"{wording}_wordings"]
        assert {e.harmful for e in synthetic.held_out(wording)} == {True, False}
        assert shares["n_harmful"] + shares["n_harmless"] == len(synthetic.held_out(wording))
    assert min(facts["seen_wordings"]["harmful_refused"], facts["seen_wordings"]["harmless_helped"]) >= 0.95
    assert (facts["licence"], facts["citation"]) == ("L", "C")


def test_loaded_model_refuses_and_helps_as_its_receipt_says(twice):
    loaded = load_model(twice[0])
    held_out = synthetic.held_out("seen")[::8]
    answers = generate(loaded, [e.prompt for e in held_out], 24)
    right = [is_refusal(answer.text) == e.harmful for e, answer in zip(held_out, answers, strict=True)]
    assert sum(right) >= 0.9 * len(right)


def test_a_model_that_does_not_learn_is_refused_with_its_figures(tmp_path):
    source = TinyModel(**SMALL | {"steps": 1, "layers": 1, "hidden_size": 16})
    spec = ModelSpec(source=source, licence="L", citation="C")
    with pytest.raises(UserError, match=r"refuses \d+% of held-out harmful prompts and helps with \d+%") as caught:
        make(source, model_recipe("toy", spec), Inputs(), tmp_path)
    assert "95%" in caught.value.expected and "steps" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@given(st.text())
def test_any_text_encodes_and_comes_back(text):
    ids = TOKENIZER(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert TOKENIZER.decode(ids, clean_up_tokenization_spaces=False) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("family", HEADS)
def test_saved_tokenizer_gives_the_same_ids_in_every_family(tmp_path, family):
    save(build_model(TinyModel(kind="tiny", family=family), len(TOKENIZER)), TOKENIZER, tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert (loaded.eos_token, loaded.chat_template) == (END, CHAT_TEMPLATE)
    for example in synthetic.held_out("unseen")[::10]:
        args = (example.prompt, example.response)
        assert encode_pair(loaded, *args, eos_ids=(0,)) == encode_pair(TOKENIZER, *args, eos_ids=(0,))


def test_families_differ_in_architecture():
    configs = {f: build_model(TinyModel(kind="tiny", family=f), len(TOKENIZER)).config for f in HEADS}
    assert {config.model_type for config in configs.values()} == set(HEADS)
    assert len({f: config.num_key_value_heads for f, config in configs.items()}) == 4
    assert any(config.num_key_value_heads < config.num_attention_heads for config in configs.values())
