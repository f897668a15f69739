"""The generated configuration files say what the models say, and `--check` notices when they do not."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from safety_regions.config.generate import WIDTH, demo_yaml, generated, main
from safety_regions.config.load import load_run
from safety_regions.config.run import RunConfig
from safety_regions.errors import UserError

ROOT = Path(__file__).parents[2]


def test_the_files_in_config_have_not_drifted():
    main(["--check", "--folder", str(ROOT / "config")])


def test_drift_ends_with_exit_code_1_and_the_command(tmp_path):
    main(["--folder", str(tmp_path)])
    (tmp_path / "demo.yaml").write_text("name: x\n")
    (tmp_path / "models.schema.json").unlink()
    command = [sys.executable, "-m", "safety_regions.config.generate", "--check", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "demo.yaml" in done.stderr and "models.schema.json" in done.stderr and "datasets.schema" not in done.stderr
    assert "run: python -m safety_regions.config.generate" in done.stderr
    with pytest.raises(UserError):
        main(["--check", "--folder", str(tmp_path / "nowhere")])


def every_key(section: BaseModel) -> dict:
    """With its value; of those, too, that recipes leave out where they are null, since they came later."""
    values = {name: getattr(section, name) for name in type(section).model_fields}
    return {name: every_key(value) if isinstance(value, BaseModel) else value for name, value in values.items()}


def test_demo_is_every_default_and_every_key_has_a_comment():
    text = demo_yaml()
    data = yaml.safe_load(text)
    assert load_run(data) == RunConfig()
    assert data == every_key(RunConfig())
    lines = text.splitlines()
    for before, line in pairwise(lines):
        if ":" in line and not line.lstrip().startswith("#"):
            assert before.lstrip().startswith("#"), line
    assert max(map(len, lines)) <= WIDTH


def test_schemas_accept_what_the_models_accept_and_describe_keys():
    from jsonschema import Draft202012Validator

    texts = generated()
    schema = json.loads(texts["schema.json"])
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid(yaml.safe_load(texts["demo.yaml"]))
    assert not validator.is_valid({"thresholds": {"q": 2}}) and not validator.is_valid({"quantile": 1})
    assert "description" in schema["$defs"]["Thresholds"]["properties"]["scope"]
    datasets = Draft202012Validator(json.loads(texts["datasets.schema.json"]))
    assert not datasets.is_valid({"a b": {}})
    assert datasets.is_valid({"a": {"source": {"kind": "synthetic", "name": "x"}, "licence": "L", "citation": "C"}})
