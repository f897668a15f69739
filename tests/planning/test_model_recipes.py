"""Recipes of models."""

import pytest

from safety_regions.config.models import ModelSpec
from safety_regions.data import synthetic
from safety_regions.errors import UserError
from safety_regions.models.sources import Inputs
from safety_regions.planning.recipes.models import ModelRecipe, model_recipe
from safety_regions.steps.arguments import read_recipe
from safety_regions.steps.prepare_model import prepare_model, source_of
from safety_regions.steps.training_data import read_data

SHA = "0" * 64
TINY = {"kind": "tiny", "family": "llama"}
ALIGNED = {"kind": "aligned", "base": "b", "harmful": ["h"], "harmless": ["u"]}
LOCAL = {"kind": "local", "path": "/somewhere/model", "sha256": SHA}


def spec(source, **more):
    return ModelSpec(source=source, licence="L", citation="C", **more)


def test_source_comes_back_from_the_recipe():
    for source in (TINY, {"kind": "hub", "id": "a/b", "revision": "0" * 40}):
        assert source_of(model_recipe("m", spec(source))) == spec(source).source


def test_a_local_models_path_is_no_part_of_its_recipe():
    recipe = model_recipe("m", spec(LOCAL))
    assert recipe == model_recipe("m", spec(LOCAL | {"path": "/elsewhere"}))
    assert source_of(recipe, "/somewhere/model") == spec(LOCAL).source


def test_licence_citation_and_token_are_no_part_of_the_recipe():
    assert model_recipe("m", spec(TINY)) == model_recipe("m", ModelSpec(source=TINY, licence="x", citation="y"))


@pytest.mark.parametrize("change", [{"seed": 1}, {"steps": 121}, {"family": "qwen2"}, {"hidden_size": 32}])
def test_any_change_of_training_is_another_recipe(change):
    assert model_recipe("m", spec(TINY)).digest != model_recipe("m", spec(TINY | change)).digest


def test_a_recipe_says_if_a_models_own_template_is_not_to_be_used_and_else_nothing():
    assert "chat_template" not in model_recipe("m", spec(TINY)).as_json()
    assert model_recipe("m", spec(TINY, chat_template=False)).as_json()["chat_template"] is False


def test_an_edit_of_the_corpus_is_another_recipe_of_tiny_models(monkeypatch):
    before = model_recipe("m", spec(TINY))
    monkeypatch.setattr(synthetic, "VERSION", synthetic.VERSION + 1)
    assert model_recipe("m", spec(TINY)) != before


def test_an_aligned_model_needs_the_digests_of_base_and_data():
    recipe = model_recipe("m", spec(ALIGNED), base_digest="1" * 64, data_digests={"h": "2" * 64, "u": "3" * 64})
    assert (recipe.base, recipe.data) == ("1" * 64, {"h": "2" * 64, "u": "3" * 64})
    for digests in ({}, {"base_digest": SHA}, {"base_digest": SHA, "data_digests": {"h": SHA}}):
        with pytest.raises(ValueError, match="needs the digests"):
            model_recipe("m", spec(ALIGNED), **digests)


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "dataset"}', "@/no/such/file"])
def test_what_is_not_a_recipe_is_refused(text):
    with pytest.raises(UserError, match="recipe"):
        read_recipe(text, ModelRecipe)


def test_data_arguments_need_a_name():
    with pytest.raises(UserError, match="no `=`"):
        read_data(["rows.jsonl"])
    assert str(read_data(["a=b=c"])["a"]) == "b=c"


def test_a_missing_input_is_named(tmp_path):
    aligned = model_recipe("m", spec(ALIGNED), base_digest=SHA, data_digests={"h": SHA, "u": SHA})
    for recipe, missing in ((aligned, "--base"), (model_recipe("m", spec(LOCAL)), "--local")):
        with pytest.raises(UserError, match=missing):
            prepare_model(recipe, tmp_path / "out", Inputs(), "L", "C")
    assert list(tmp_path.iterdir()) == []
