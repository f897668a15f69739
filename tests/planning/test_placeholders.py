"""Who asks a real model the embedded placeholders is told so, with the command that asks it real sets."""

import shlex
from pathlib import Path

import pytest
import yaml
from pipeline import ROOT

from safety_regions.__main__ import parse
from safety_regions.planning.from_files import plan_of
from safety_regions.planning.placeholders import placeholder_warning
from safety_regions.planning.plan import Plan

MODELS = {"licence": "x", "citation": "x"}
ALIGNED = {"kind": "aligned", "harmful": ["syn_build"], "harmless": ["syn_chores"]}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    models = {
        "tiny-aligned": {"source": ALIGNED | {"base": "tiny-llama"}} | MODELS,
        "real-aligned": {"source": ALIGNED | {"base": "smollm2-135m"}} | MODELS,
    }
    Path("models.yaml").write_text(yaml.safe_dump(models))


def run_of(**said: object) -> Plan:
    methods = {"methods": {"safelayer": None, "nlsr": None}, "replicates": None, "controls": None, "constrain": None}
    registry = {"registry": {"models": ["config/models.yaml", "models.yaml"]}}
    Path("run.yaml").write_text(yaml.safe_dump(methods | registry | said))
    return plan_of(parse(["status", "--configfile", "run.yaml"]))


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (["tiny-llama", "tiny-aligned"], ()),
        (["tiny-llama", "real-aligned"], ("real-aligned",)),
        (["smollm2-135m"],) * 2,
    ],
)
def test_models_that_are_not_tiny_are_named_with_the_right_command(models, told):
    said = placeholder_warning(run_of(models=models))
    if not told:
        assert said is None
        return
    assert f"which {', '.join(told)} is not" in said and "syn_build" in said
    command = shlex.split(said.split("With real sets: ")[1])
    assert command[:2] == ["snakemake", "-n"]
    assert placeholder_warning(plan_of(parse(["status", *command[2:]]))) is None


def test_real_sets_need_no_word():
    sets = {"safety": ["advbench", "jbb"], "utility": ["gsm8k"]}
    assert placeholder_warning(run_of(models=["smollm2-135m"], datasets=sets)) is None
