"""What cannot happen: code run from data, a token written down, a file named outside its folder, rights beyond the
user's.

That the report shows hostile text as text: test_page.py and test_page_browser.py.
"""

import ast
import contextlib
import io
import json
import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
import yaml
from hub import Hub
from pipeline import ROOT
from pydantic import ValidationError
from random_models import random_adapter, random_model, random_samples
from safetensors.torch import load_file, save_file

from safety_regions.artifacts import receipts
from safety_regions.config.datasets import DatasetSpec, UrlDataset
from safety_regions.config.methods import options_of
from safety_regions.config.registries import dataset_entries, model_entries
from safety_regions.config.run import RunConfig
from safety_regions.data.download import download
from safety_regions.errors import UserError
from safety_regions.files import atomic_path, write_text
from safety_regions.methods.interface import method
from safety_regions.models.model_files import folder_digest
from safety_regions.planning.recipes.data import dataset_recipe
from safety_regions.regions.format import open_region, read_levels, write_region
from safety_regions.regions.select import Cut

FORBIDDEN_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "torch.load",
    "torch.save",
    "np.load",
    "pd.read_pickle",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "torch.hub.load",
}
OURS = [p for folder in ("src", "scripts", "tests") for p in sorted((ROOT / folder).rglob("*.py"))]
LOOK_AT_IT = {
    "tests/project/test_security.py": {"pickle", "torch.load"},
    "tests/project/test_envs.py": {"shell"},
    "src/safety_regions/warm/server.py": {"exec"},
    "tests/project/test_notebooks.py": {"exec"},
}
"""This file traps pickle; the second one runs a shell on a line of its own; the third runs the scripts of scripts/ in a
fork, as the interpreter would; the fourth runs the cells of notebooks/."""


def misdeeds(source: str) -> set[str]:
    """What of the forbidden a module's syntax tree holds, by a short name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= {name.split(".")[0] for name in names} & FORBIDDEN_MODULES
        if isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in FORBIDDEN_CALLS:
            found.add(called)
        if isinstance(node, ast.keyword) and not (isinstance(node.value, ast.Constant) and node.value.value is False):
            found |= {str(node.arg)} & {"shell", "trust_remote_code", "allow_pickle"}
        if isinstance(node, ast.Dict):
            options = {
                key.value: value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
            remote = options.get("trust_remote_code")
            if remote is not None and ast.unparse(remote) != "False":
                found.add("trust_remote_code")
    return found


@pytest.mark.parametrize("path", OURS, ids=[str(p.relative_to(ROOT)) for p in OURS])
def test_no_module_of_ours_can_run_what_it_reads(path):
    name = str(path.relative_to(ROOT))
    assert misdeeds(path.read_text(encoding="utf-8")) <= LOOK_AT_IT.get(name, set())


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(x)",
        "eval(x)",
        "f(shell=True)",
        "yaml.load(x, Loader)",
        "f(trust_remote_code=y)",
        "o = {'trust_remote_code': True}",
        "np.load(f, allow_pickle=True)",
    ],
)
def test_the_search_finds_each_of_them(source):
    assert misdeeds(source)


@pytest.fixture
def trapped(monkeypatch):
    """Whoever unpickles, fails: all but numba, which keeps the machine code of our loops so, beside their bytecode."""

    def trap(*args, **kwargs):
        raise AssertionError("unpickled")

    def but_for_numba(original):
        def load(*args, **kwargs):
            theirs = sys._getframe(1).f_globals["__name__"].startswith("numba.")
            return original(*args, **kwargs) if theirs else trap()

        return load

    for name in ("load", "loads"):
        monkeypatch.setattr(pickle, name, but_for_numba(getattr(pickle, name)))
    monkeypatch.setattr(pickle, "Unpickler", type("Trap", (pickle.Unpickler,), {"load": trap}))
    monkeypatch.setattr(torch, "load", trap)


@pytest.mark.parametrize("name", ["snip", "wanda", "safeneuron", "nlsr"])
def test_statistics_regions_and_adapters_are_made_and_read_without_pickle(tmp_path, trapped, name):
    loaded, cut, options = random_model("llama"), Cut((0.1,), "matrix"), options_of(name, {})
    needs = {"adapter": random_adapter(loaded), "merged": False} if name == "nlsr" else {}
    of = method(name)
    statistics = of.measure(loaded, random_samples(2), options, batch_tokens=64, **needs)
    save_file({key: tensor.contiguous() for key, tensor in statistics.items()}, tmp_path / "s")
    levels = of.levels(loaded, load_file(tmp_path / "s"), options, cut, **needs)
    write_region(tmp_path / "r", levels, recipe_digest="d" * 64, cut=cut)
    receipts.write(tmp_path / "r", {}, {})
    receipts.check(tmp_path / "r")
    with open_region(tmp_path / "r") as region:
        assert all(read_levels(region, matrix).any() for matrix in region.names[:1])


def test_the_traps_close(trapped):
    with pytest.raises(AssertionError, match="unpickled"):
        pickle.loads(b"")
    with pytest.raises(AssertionError, match="unpickled"):
        torch.load("x")


def test_a_model_with_pickled_weights_is_refused(tmp_path, trapped):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UserError, match="never loaded"):
        folder_digest(tmp_path)


PLANTED = "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"


def ask(hub: Hub, folder: Path, source: dict) -> subprocess.CompletedProcess:
    """Run the script that fetches a dataset, with the planted token in its environment."""
    spec = DatasetSpec.model_validate({"source": source, "prompt": "q", "licence": "CC0", "citation": "us"})
    (folder / "recipe.json").write_text(json.dumps(dataset_recipe("toy", spec).as_json()))
    command = [sys.executable, str(ROOT / "scripts/fetch_dataset.py"), "--recipe", f"@{folder / 'recipe.json'}"]
    command += ["--licence", "CC0", "--citation", "us", "--output", str(folder / "rows.jsonl")]
    return subprocess.run(
        command, env=hub.environment(folder / "home", HF_TOKEN=PLANTED), capture_output=True, text=True
    )


def test_a_token_is_in_no_error_and_no_file(tmp_path):
    with Hub() as hub:
        gated = hub.add("toys/gated", {"a.csv": b"q\nx\n"}, gated=True)
        done = ask(hub, tmp_path, {"kind": "hub", "id": "toys/gated", "revision": gated, "split": "train"})
        assert done.returncode == 1 and "gated" in done.stderr
        assert PLANTED not in done.stdout + done.stderr
        open_ = hub.add("toys/open", {"a.csv": b"q\nx\n"})
        done = ask(hub, tmp_path, {"kind": "hub", "id": "toys/open", "revision": open_, "split": "train"})
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "rows.jsonl.run.json").exists()
        assert PLANTED not in done.stdout + done.stderr
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert written and not [p for p in written if PLANTED.encode() in p.read_bytes()]


def test_a_token_is_not_sent_with_a_raw_file_and_in_none_of_its_errors(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", PLANTED)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Hub() as hub:
        url = hub.add_raw("x", b"", failures=[401])
        with pytest.raises(UserError, match="HTTP 401") as caught:
            download(url, attempts=1)
    assert PLANTED not in str(caught.value)


def test_no_code_but_the_hint_of_models_looks_at_the_token():
    looking = {p.name for p in OURS if p.is_relative_to(ROOT / "src") and '"HF_TOKEN"' in p.read_text(encoding="utf-8")}
    assert looking == {"hub.py"}


OUTSIDE = [
    "..",
    "../x",
    "a/b",
    "/etc/passwd",
    "a\\b",
    ".hidden",
    "a\n",
    "a\0",
    "~",
    "a b",
    "$(ls)",
    "a;b",
    "x" * 65,
    "",
]


@pytest.mark.parametrize("id", OUTSIDE)
def test_ids_that_could_lead_out_of_results_are_refused(id):
    about = {"licence": "a", "citation": "b"}
    dataset = {"source": {"kind": "synthetic", "name": "steal"}, **about}
    model = {"source": {"kind": "tiny", "family": "llama"}, **about}
    refused = [
        lambda: dataset_entries().validate_python({id: dataset}),
        lambda: model_entries().validate_python({id: model}),
        lambda: RunConfig(name=id),
        lambda: RunConfig.model_validate({"datasets": {"safety": [id, "syn_steal"]}}),
        lambda: RunConfig.model_validate({"models": [id]}),
        lambda: RunConfig.model_validate({"methods": {id: {}}}),
        lambda: RunConfig.model_validate({"methods": {"safelayer": {"normal": id}}}),
    ]
    for attempt in refused:
        with pytest.raises(ValidationError):
            attempt()


@pytest.mark.parametrize("id", ["../x", "a", "a/../b", "a/b/c", "/a/b", "a/b\n", "a/b?x", "-a/b"])
def test_ids_of_the_hub_are_two_plain_names(id):
    source = {"kind": "hub", "id": id, "revision": "0" * 40}
    with pytest.raises(ValidationError):
        model_entries().validate_python({"m": {"source": source, "licence": "a", "citation": "b"}})


@pytest.mark.parametrize(
    "folder",
    [
        "..",
        "../x",
        "a/..",
        "a/../b",
        "/a",
        "a/",
        "a//b",
        "",
        ".",
        ".git",
        "a/.b",
        "a\n",
        "~",
        "a\\b",
        "*",
        "a/**",
        "[ab]",
    ],
)
def test_folders_of_a_repository_lie_inside_it(folder):
    source = {"kind": "hub", "id": "o/n", "revision": "0" * 40, "split": "train"}
    for data_dir, refused in ((folder, True), ("harmless-base", False), ("a/b c/ü_1.0", False)):
        entry = {"m": {"source": source | {"data_dir": data_dir}, "licence": "a", "citation": "b"}}
        with pytest.raises(ValidationError) if refused else contextlib.nullcontext():
            dataset_entries().validate_python(entry)


@pytest.mark.parametrize("package", ["../x", "x; ls", "--index-url=http://x", "x==1", "a/b"])
def test_names_of_packages_are_no_options_and_no_paths(package):
    part = {"package": package, "version": "1", "file": "x"}
    source = {"kind": "package", "parts": [part], "sha256": "0" * 64}
    with pytest.raises(ValidationError):
        model_entries().validate_python({"m": {"source": source, "licence": "a", "citation": "b"}})


def test_every_address_in_the_registry_is_https_and_pinned():
    datasets = dataset_entries().validate_python(yaml.safe_load((ROOT / "config/datasets.yaml").read_text()))
    urls = [spec.source for spec in datasets.values() if isinstance(spec.source, UrlDataset)]
    assert urls and {urlsplit(str(source.url)).scheme for source in urls} == {"https"}


def test_a_download_stops_at_its_limit(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Hub() as hub:
        url = hub.add_raw("x", bytes(100_000))
        with pytest.raises(UserError, match="more than 65535 bytes"):
            download(url, attempts=1, max_bytes=65535)


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_files_have_the_mode_that_the_user_asks_for(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "text", "x")
        cut = Cut((0.5,), "matrix")
        write_region(tmp_path / "region", [("a", np.ones((2, 2), np.uint8))], recipe_digest="d" * 64, cut=cut)
        with atomic_path(tmp_path / "open") as temporary:
            assert not stat.S_IMODE(temporary.stat().st_mode) & 0o077 & umask
        receipts.write(tmp_path / "text", {}, {})
    finally:
        os.umask(before)
    made = [p for p in tmp_path.iterdir() if p.is_file()]
    assert len(made) == 5 and {stat.S_IMODE(p.stat().st_mode) for p in made} == {mode}


def test_an_error_shows_control_characters_of_a_name_to_no_terminal():
    from safety_regions.errors import run_main

    def main():
        raise UserError("x \x1b[2J y", where="a\x07b")

    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit):
        run_main(main)
    assert not {"\x1b", "\x07"} & set(said.getvalue())
