"""What the documentation tells people to type is typed, word for word, after a finished run; what is not has its
reason.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from doc_commands import ALL, BLOCK, PAGES, codes_of
from doc_walks import NOT_RUN, WALKS, Elsewhere, Typed
from pipeline import ROOT, WorkingCopy
from planted import files_with_secrets, planted, secrets_in
from sharing import git, own_settings

from safety_regions.__main__ import parse
from safety_regions.planning.from_files import plan_of

OF_A_CLONE = (
    "Makefile",
    "pyproject.toml",
    "envs",
    "dvc.yaml",
    ".gitignore",
    ".dvcignore",
    ".dvc/config",
    ".dvc/.gitignore",
)
RUN = {typed.command for walk in WALKS.values() for typed in walk}


def test_every_command_is_run_or_has_its_reason_and_no_other_is_listed():
    commands = {command for _, command in ALL}
    assert commands - RUN - NOT_RUN.keys() == set(), "in the documentation, and in no table of doc_walks.py"
    assert (RUN | NOT_RUN.keys()) - commands == set(), "in a table of doc_walks.py, and on no page"
    assert RUN & NOT_RUN.keys() == set()


def test_the_tests_that_are_named_are_there():
    named = [reason for reason in NOT_RUN.values() if isinstance(reason, Elsewhere)]
    assert named
    for test in named:
        assert f"def {test.name}(" in (ROOT / "tests" / test.file).read_text("utf-8"), test


@pytest.fixture
def folder(copy: WorkingCopy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What a clone holds after its default run, with somewhere to push to, and secrets in the environment."""
    for name in OF_A_CLONE:
        (copy.folder / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, copy.folder / name)
    shutil.copyfile(copy.config, copy.folder / "config/demo.yaml")
    _pretend_to_be_installed(copy.folder / ".venv")
    monkeypatch.chdir(copy.folder)
    with own_settings(tmp_path / "settings"), planted():
        git("init", "--quiet", "--initial-branch=main")
        git("init", "--quiet", "--bare", "--initial-branch=main", "../origin.git")
        git("remote", "add", "origin", str(tmp_path / "origin.git"))
        git("add", ".")
        git("commit", "--quiet", "-m", "A run")
        git("push", "--quiet", "--set-upstream", "origin", "main")
        yield copy.folder


def _pretend_to_be_installed(venv: Path) -> None:
    """So that `make` takes the programs of these tests, and installs nothing."""
    venv.mkdir()
    (venv / "bin").symlink_to(Path(sys.executable).parent)
    (venv / ".installed").touch()


def _write_yaml_of(page: str, folder: Path) -> None:
    """The files that a page shows: registry entries, and the run that names them."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    blocks = [block for language, block in BLOCK.findall(text) if language == "yaml"]
    (run,) = [block for block in blocks if "registry" in yaml.safe_load(block)]
    (entries,) = re.findall(r"config/my_(?:datasets|models)\.yaml", run)
    (folder / entries).write_text("\n".join(block for block in blocks if block != run))
    (folder / "config/my_run.yaml").write_text(run)
    (folder / "data").mkdir()
    for name in ("my_set.csv", "my_harmless.jsonl"):
        (folder / "data" / name).write_text("x")


def type_in(typed: Typed) -> str:
    """Type a command, which must succeed, and return what it prints."""
    command = typed.command
    for word, instead in typed.words.items():
        assert word in command
        command = command.replace(word, instead)
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-ec", command],
        cwd=typed.inside,
        env=environment,
        input=typed.answer,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize("name", WALKS)
def test_commands_do_what_they_should_one_after_another(folder, name):
    if name.endswith(".md"):
        _write_yaml_of(name, folder)
    for typed in WALKS[name]:
        said = type_in(typed)
        assert typed.says in said, typed.command
        assert "Traceback" not in said and secrets_in(said.encode()) == []
    assert files_with_secrets(folder.parent) == {}


OVERRIDES = sorted(
    {code for page in PAGES for code in codes_of(page.read_text("utf-8")) if code.startswith("--config '")}
)


@pytest.mark.parametrize("override", OVERRIDES)
def test_every_value_for_the_command_line_is_taken(seen, override):
    (value,) = re.fullmatch(r"--config '(.*)'", override).groups()
    plan_of(parse(["status", "--configfile", "config/micro.yaml", "--config", value]))
