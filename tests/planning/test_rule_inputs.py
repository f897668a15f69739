"""What rules ask of a plan."""

import json
import re
import shlex
from pathlib import Path

import pytest

from safety_regions.config.load import load_registries
from safety_regions.config.models import ModelSpec
from safety_regions.config.run import RunConfig
from safety_regions.errors import UserError
from safety_regions.planning import rule_inputs
from safety_regions.planning.make import make_plan
from safety_regions.planning.plan import Plan

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plan(monkeypatch, tmp_path) -> Plan:
    """Of a trained, an aligned and a downloaded model, in a folder where nothing is made yet."""
    monkeypatch.chdir(ROOT)
    run = RunConfig(models=["tiny-llama", "smollm2-135m-aligned", "smollm2-135m"])
    plan = make_plan(run, load_registries(run))
    monkeypatch.chdir(tmp_path)
    return plan


def test_digits_of_another_plan_are_told_and_not_looked_for(plan):
    for ask in (rule_inputs.artifact_of, rule_inputs.batch_of, rule_inputs.needed_by_batch):
        with pytest.raises(UserError, match=r"0{12}: no .* of this run has this digest; the configuration is another"):
            ask(plan, "0" * 12)


def test_an_artifact_in_place_needs_nothing(plan):
    prompts = plan.prompts["syn_build"]
    assert rule_inputs.needed_by_artifact(plan, prompts.key) == plan.needs([prompts]) != []
    for path in prompts.outputs:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    assert rule_inputs.needed_by_artifact(plan, prompts.key) == []


def test_only_what_is_not_trained_here_is_downloaded(plan):
    downloads = rule_inputs.downloads(plan)
    assert set(plan.datasets["syn_build"].outputs) <= set(downloads)
    trained = {path for name in ("tiny-llama", "smollm2-135m-aligned") for path in plan.models[name].outputs}
    assert not trained & set(downloads)
    assert set(plan.models["smollm2-135m"].outputs) <= set(downloads)


def test_a_model_is_trained_from_its_base_and_the_rows_of_its_data(plan):
    aligned = plan.models["smollm2-135m-aligned"]
    base, data = aligned.inputs["base"].path, rule_inputs.training_data(aligned)
    assert shlex.split(rule_inputs.training_options(aligned)) == ["--base", base, "--data", *data]
    assert data == [f"{name}={plan.datasets[name].path}" for name in (pair.partition("=")[0] for pair in data)]
    assert rule_inputs.training_options(plan.models["smollm2-135m"]) == ""


def test_the_options_of_a_registry_are_quoted_for_the_shell(plan):
    spec = plan.registries.datasets["syn_build"].model_copy(update={"licence": "it's; rm -r"})
    assert shlex.split(rule_inputs.registry_options(spec))[:2] == ["--licence", "it's; rm -r"]


def test_a_model_is_fetched_for_the_methods_of_the_run(plan):
    *_, option, methods = shlex.split(rule_inputs.model_options(plan, "smollm2-135m"))
    assert (option, methods.split(",")) == ("--methods", [*plan.run.enabled_methods()])


def test_a_mirror_is_handed_on_as_the_registry_has_it(plan):
    mirror = [{"package": "toy", "version": "1.0", "file": "a/part0.bin"}]
    source = {"kind": "gguf", "id": "a/b", "revision": "0" * 40, "file": "x.gguf", "sha256": "0" * 64}
    words = [
        shlex.split(rule_inputs.registry_options(ModelSpec(source=source | more, licence="L", citation="C")))
        for more in ({}, {"mirror": mirror})
    ]
    assert words[0] == ["--licence", "L", "--citation", "C"]
    assert words[1][:-1] == [*words[0], "--mirror"] and json.loads(words[1][-1]) == mirror


def test_a_job_makes_the_missing_members_of_its_batch_or_one_artifact(plan):
    model, batch = plan.models["tiny-llama"], next(iter(plan.batches.values()))
    assert rule_inputs.made_by(plan, model.key) == [model]
    assert rule_inputs.made_by(plan, batch.key) == list(batch.artifacts)


def test_either_of_no_names_matches_nothing():
    assert re.fullmatch(rule_inputs.either(["b", "a"]), "a")
    assert not re.fullmatch(rule_inputs.either([]), "")
