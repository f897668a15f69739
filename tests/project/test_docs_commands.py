"""What the documentation tells people to type exists: commands, options, targets, files; and registry entries parse and
plan.

That it does what it should: test_docs_run.py.
"""

import argparse
import contextlib
import errno
import io
import os
import re
import shlex
import subprocess
from functools import cache
from importlib import import_module

import pytest
import yaml
from doc_commands import ALL, OURS, PAGES
from pipeline import ROOT
from snakemake.cli import get_argument_parser

from safety_regions.__main__ import COMMANDS
from safety_regions.config.load import load_registries, load_run
from safety_regions.planning.make import make_plan

PLACEHOLDERS = re.compile(r"\.\.\.|<|\bX\b|FILE|FOLDER|NAME|KEY|\.venv/")


CHECKED = [(page, command) for page, command in ALL if command.split(" ")[0] in OURS]


@cache
def targets_of_make() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return {word for heads in re.findall(r"^([a-z][a-z -]*):(?!=)", text, re.MULTILINE) for word in heads.split()}


@cache
def rules() -> set[str]:
    return {
        name
        for file in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
        for name in re.findall(r"^rule (\w+):", file.read_text(), re.MULTILINE)
    }


@cache
def parser_of(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    import_module(f"safety_regions.commands.{command}").configure(parser)
    return parser


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


@cache
def snakemakes() -> set[str]:
    return options_of(get_argument_parser())


def wrong_with(command: str) -> str:
    """What of a command does not exist; empty if all does."""
    plain = re.sub(r"\[([^\]]*)\]", r"\1", command)
    tool, *words = shlex.split(plain)
    options = {word.split("=")[0] for word in words if word.startswith("-")}
    if tool == "safety-regions":
        if words[0].startswith("-") or PLACEHOLDERS.search(words[0]):
            return ""
        if words[0] not in COMMANDS:
            return f"command {words[0]}"
        unknown = options - options_of(parser_of(words[0]))
    elif tool == "snakemake":
        unknown = options - snakemakes()
        first = words[0] if words else ""
        if re.fullmatch(r"[a-z_]+", first) and first not in rules():
            return f"rule {first}"
    elif tool == "make":
        unknown = {w for w in words if not w.startswith("-") and "=" not in w} - targets_of_make()
    else:
        return wrong_with_python(words)
    named = [w for w in words if re.match(r"(config|profiles)/", w) and "my_" not in w and not PLACEHOLDERS.search(w)]
    missing = {name for name in named if not (ROOT / name).exists()}
    return " ".join(sorted(unknown | missing))


def wrong_with_python(words: list[str]) -> str:
    if words[0] == "-m":
        file = ROOT / "src" / (words[1].replace(".", "/") + ".py")
        name = "" if not words[1].startswith("safety_regions") or file.is_file() else words[1]
    else:
        file = ROOT / words[0]
        name = "" if file.is_file() else words[0]
    text = file.read_text("utf-8") if file.is_file() else ""
    unknown = {w for w in words[1:] if w.startswith("--") and f'"{w}"' not in text and "job_parser" not in text}
    # Scripts may take the options of a run, which another module gives them.
    return " ".join(sorted({name} | unknown - {"--configfile", "--config", "--profile"})).strip()


@pytest.mark.parametrize(("page", "command"), CHECKED, ids=[f"{page}: {command}" for page, command in CHECKED])
def test_a_command_exists_with_its_options(page, command):
    assert not wrong_with(command)


@pytest.mark.parametrize("target", ["reproduce", "publish", "pull"])
def test_make_takes_the_run_that_it_is_told(target):
    """Whatever of the installation it would do first."""
    # A make that was started by a make, as these tests are by `make test`, also says which folder it enters and leaves.
    words = ["make", "--no-print-directory", "-n", target, "CONFIG=config/small.yaml"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert said.stdout.splitlines()[-1].endswith(" --configfile config/small.yaml")


def test_no_page_installs_from_an_index_what_only_this_repository_has():
    """Whoever took our name there could run code wherever a page is followed."""
    installs = [command for _, command in ALL if re.match(r"(python -m )?pip install", command)]
    assert installs
    assert [command for command in installs if re.search(r"(?<![./\w-])safety-regions", command)] == []


def test_the_commands_are_found():
    assert len(CHECKED) > 45
    assert {command.split(" ")[0] for _, command in CHECKED} == set(OURS)


@pytest.mark.parametrize(
    "command",
    [
        "safety-regions pulll",
        "safety-regions pull --al",
        "snakemake --configfiel x",
        "snakemake fetch",
        "snakemake --configfile config/none.yaml",
        "make reproducee",
        "python scripts/none.py",
        "python benchmarks/run.py --no",
    ],
)
def test_what_does_not_exist_is_found(command):
    assert wrong_with(command)


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_leads_somewhere(page):
    text = page.read_text("utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text("utf-8")), link


NAMED = r"`((?:src|config|docs|scripts|tests|rules|profiles|envs|benchmarks)/[\w./-]+)`"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_path_that_a_page_names_exists(page):
    made_by_a_run = re.compile(r"my_|meanabs|contrast|\.sif$|benchmarks/results\.json")
    for path in re.findall(NAMED, page.read_text("utf-8")):
        assert made_by_a_run.search(path) or (ROOT / path).exists(), path


MESSAGES = re.findall(r"^\| (`[^|]+) \| ", (ROOT / "docs/troubleshooting.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("message", [m for cell in MESSAGES for m in re.findall(r"`([^`]+)`", cell)])
def test_every_message_that_is_explained_is_one_of_the_code(message):
    files = [ROOT / "Makefile", *(ROOT / "src").rglob("*.py")]
    text = " ".join(file.read_text("utf-8") for file in files)
    # Words of the operating system stand in no file of ours.
    assert message in text or message in {os.strerror(number).lower() for number in errno.errorcode}


def yaml_blocks(name: str) -> list[dict]:
    text = (ROOT / "docs" / name).read_text("utf-8")
    return [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the configuration and the reader's data, in which the test runs."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "data").mkdir()
    for name in ("my_set.csv", "my_harmless.jsonl"):
        (tmp_path / "data" / name).write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "kind"), [("add-a-dataset.md", "datasets"), ("add-a-model.md", "models")])
def test_the_entries_of_a_page_are_planned_by_its_run(folder, page, kind):
    blocks = yaml_blocks(page)
    (run,) = [block for block in blocks if "registry" in block]
    entries = {name: entry for block in blocks if "registry" not in block for name, entry in block.items()}
    assert len(entries) >= 3
    (folder / "mine.yaml").write_text(yaml.safe_dump(entries))
    run["registry"][kind] = [f"config/{kind}.yaml", "mine.yaml"]
    config = load_run(run)
    with contextlib.redirect_stderr(io.StringIO()):
        plan = make_plan(config, load_registries(config))
    assert {"region", "report"} <= {a.kind for a in plan.made.values()}
    named = {*config.models, *config.datasets.safety, *config.datasets.utility}
    assert named & entries.keys() <= {part for a in plan.made.values() for part in re.split("[/.]", a.stem)}
