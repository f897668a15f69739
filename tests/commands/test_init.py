"""`safety-regions init`: from a model of one's own to a run of it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hub import Hub
from pipeline import ROOT
from random_models import random_model

from safety_regions.__main__ import parse
from safety_regions.config.load import load_registries, load_run
from safety_regions.errors import UserError
from safety_regions.models.folder import save
from safety_regions.models.model_files import folder_digest
from safety_regions.models.registry_entry import of_folder
from safety_regions.planning.from_files import plan_of_files
from safety_regions.share.prune import kept_keys


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "Toy-1.5B"
    loaded = random_model("llama")
    save(loaded.model, loaded.tokenizer, folder)
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's configurations."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*words: str) -> None:
    arguments = parse(["init", *words])
    arguments.run(arguments)


def test_a_folder_becomes_a_run_of_all_that_the_other_run_does(
    model: Path, project: Path, capsys: pytest.CaptureFixture
) -> None:
    init(str(model), "--like", "config/study.yaml")
    said = capsys.readouterr().out
    entry = yaml.safe_load(Path("config/toy-1_5b.models.yaml").read_text())["toy-1_5b"]
    assert entry["source"] == {"kind": "local", "path": str(model), "sha256": folder_digest(model)}
    config = json.loads((model / "config.json").read_text())
    assert len(entry["shape"]) >= 7 and entry["shape"].items() <= config.items() and "parameters" not in entry
    like, made = plan_of_files([Path("config/study.yaml")]), plan_of_files([Path("config/toy-1_5b.yaml")])
    assert made.run.models == ["toy-1_5b"] and made.run.name == "toy-1_5b"
    assert made.run.datasets == like.run.datasets and made.run.methods == like.run.methods
    # The other run takes regions out of one of its models alone.
    assert like.run.evaluate and like.run.evaluate.models and made.run.evaluate and made.run.evaluate.models is None
    assert "advbench" in said and "its licence is not known" in said
    commands = re.findall(r"^  (snakemake .*?)(?:   #.*)?$", said, re.MULTILINE)
    assert commands == [
        "snakemake prefetch --configfile config/toy-1_5b.yaml",
        "snakemake --configfile config/toy-1_5b.yaml",
    ]
    assert "Disk:" in said and "A GPU of 80 GB is taken for granted" in said


def test_a_run_may_be_like_one_that_was_made_so_and_keeps_its_results(
    model: Path, project: Path, capsys: pytest.CaptureFixture
) -> None:
    """And where others published what it needs, it is told how to do without them."""
    init(str(model), "--name", "one", "--like", "config/study.yaml")
    pointer = plan_of_files([Path("config/one.yaml")]).datasets["advbench"].pointer
    Path(pointer).parent.mkdir(parents=True)
    Path(pointer).write_text("outs:\n- md5: 0123\n  size: 1\n  hash: md5\n  path: x\n")
    capsys.readouterr()
    init(str(model), "--name", "two", "--like", "config/one.yaml")
    one, two = (plan_of_files([Path(f"config/{name}.yaml")]) for name in ("one", "two"))
    assert two.run.datasets == one.run.datasets and two.run.models == ["two"]
    said = capsys.readouterr().out
    assert said.count("--config 'machine={recompute_published: true}'") == 2
    # Each of both is whole in one file, as prune takes them for.
    assert {a.key for a in one.regions["one", "snip"].values()} <= kept_keys([Path("config/one.yaml")])


def test_a_wrapper_s_weights_have_the_dtype_that_its_text_model_says(
    model: Path, project: Path, tmp_path: Path
) -> None:
    wrapper = tmp_path / "wrapper"
    shutil.copytree(model, wrapper)
    text = {"model_type": "gemma3_text", "dtype": "bfloat16"}
    (wrapper / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": text}))
    assert of_folder(wrapper).entry["dtype"] == "bfloat16"


def test_a_method_that_is_not_right_for_the_model_is_left_out_and_said(
    model: Path, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    other = tmp_path / "other"
    shutil.copytree(model, other)
    sizes = {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 260}
    (other / "config.json").write_text(json.dumps({"model_type": "bloom", **sizes}))
    init(str(other), "--name", "mine")
    assert "safeneuron left out: not right for models of type 'bloom'" in capsys.readouterr().out
    run = plan_of_files([Path("config/mine.yaml")]).run
    assert run.methods.safeneuron is None and run.methods.snip is not None
    assert run.controls and run.controls.methods == ["snip", "wanda"]
    shape = yaml.safe_load(Path("config/mine.models.yaml").read_text())["mine"]["shape"]
    assert (shape["num_hidden_layers"], shape["intermediate_size"]) == (2, 128)


def test_nothing_is_written_over(model: Path, project: Path) -> None:
    init(str(model), "--name", "mine")
    before = Path("config/mine.yaml").read_bytes()
    with pytest.raises(UserError, match="never written over"):
        init(str(model), "--name", "mine")
    assert Path("config/mine.yaml").read_bytes() == before


def test_what_cannot_be_scored_or_is_no_model_leaves_nothing_behind(model: Path, project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(model, other)
    (other / "config.json").write_text('{"model_type": "mamba"}')
    before = sorted(Path("config").iterdir())
    for words, what in (
        ([str(other)], "'mamba' is not known"),
        (["nowhere"], "neither a folder nor a model's name"),
        ([str(model), "--name", "a/b"], "no name of a run"),
        ([str(model), "--name", "tiny-llama"], "is the id of another model"),
        ([str(model), "--like", "config/nowhere.yaml"], "cannot be read"),
        ([str(model), "--revision", "main"], "a commit of a folder"),
        (["https://huggingface.co/org/name"], "neither a folder nor a model's name"),
    ):
        with pytest.raises(UserError, match=re.escape(what)):
            init(*words)
        assert sorted(Path("config").iterdir()) == before


def test_a_model_of_the_hub_is_pinned_to_its_newest_commit_and_told_without_its_weights(
    model: Path, project: Path, tmp_path: Path
) -> None:
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    with Hub() as hub:
        commit = hub.add("toys/Good.Model", files, kind="models")
        pickled = {name: data for name, data in files.items() if name != "model.safetensors"}
        hub.add("toys/pickled", pickled | {"pytorch_model.bin": b"pickle"}, kind="models")
        hub.add("toys/gated", files, kind="models", gated=True)

        def done(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "safety_regions", "init", *words]
            return subprocess.run(command, env=hub.environment(tmp_path / "home"), capture_output=True, text=True)

        said = done("toys/Good.Model")
        refused = {id: done(id) for id in ("toys/pickled", "toys/gated", "toys/none")}
        assert not any("model.safetensors" in request for request in hub.requests)
    assert said.returncode == 0, said.stderr
    registry = ["config/models.yaml", "config/good_model.models.yaml"]
    spec = load_registries(load_run({"registry": {"models": registry}})).models["good_model"]
    assert (spec.source.id, spec.source.revision) == ("toys/Good.Model", commit)
    for id, what in {
        "toys/pickled": "no *.safetensors weights",
        "toys/gated": "is gated",
        "toys/none": "no model toys/none",
    }.items():
        assert refused[id].returncode == 1 and what in refused[id].stderr and "Traceback" not in refused[id].stderr
    assert sorted(path.name for path in Path("config").glob("*good*")) == ["good_model.models.yaml", "good_model.yaml"]
    assert not list(Path("config").glob("*pickled*"))
