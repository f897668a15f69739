"""What `snakemake --configfile FILE` says of a file that is none: snakemake reads it first, and what it cannot read we
never see.
"""

import io
import re
from contextlib import redirect_stderr
from itertools import pairwise
from pathlib import Path

import pytest
from pipeline import WorkingCopy, new_working_copy
from snakemake.common.configfile import load_configfile

from safety_regions.__main__ import main

ALIASES = [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in pairwise("abcdefgh")]
FILES = {
    "nothing in it": b"",
    "a list": b"- a\n- b\n",
    "a tab": b"thresholds:\n\tq: 0.1\n",
    "an open bracket": b"name: [1\n",
    "an object of Python": b"name: !!python/object/apply:os.getcwd []\n",
    "not UTF-8": b"name: caf\xe9\n",
    "deep": b"a: " + b"[" * 3000 + b"]" * 3000,
}
NO_MAPPING, NO_YAML = "must be given as JSON or YAML with keys at top level", "is not valid JSON or YAML"
"""Of snakemake: docs/troubleshooting.md quotes them."""
SAID = {
    "nothing in it": ("WorkflowError", NO_MAPPING),
    "a list": ("WorkflowError", NO_MAPPING),
    "a tab": ("WorkflowError", NO_YAML),
    "an open bracket": ("WorkflowError", NO_YAML),
    "an object of Python": ("WorkflowError", NO_YAML),
    "not UTF-8": ("UnicodeDecodeError", "can't decode byte 0xe9"),
    "deep": ("RecursionError", ""),
    "not there": ("FileNotFoundError", "No such file"),
    "a folder": ("IsADirectoryError", "Is a directory"),
}


@pytest.fixture
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file of this name, in whatever state."""
    path = tmp_path / "run.yaml"
    if request.param in FILES:
        path.write_bytes(FILES[request.param])
    elif request.param == "a folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("file", "kind", "words"), [(name, *said) for name, said in SAID.items()], indirect=["file"], ids=SAID
)
def test_what_snakemake_raises_is_what_the_page_says(file, kind, words):
    with pytest.raises(Exception) as caught:
        load_configfile(file)
    assert type(caught.value).__name__ == kind
    assert words in str(caught.value)


@pytest.mark.parametrize("file", SAID, indirect=True)
def test_our_own_commands_say_it_in_one_message_that_names_the_file(file, monkeypatch):
    monkeypatch.setattr("sys.argv", ["safety-regions", "status", "--configfile", str(file)])
    said = io.StringIO()
    with redirect_stderr(said), pytest.raises(SystemExit):
        main()
    assert said.getvalue().count("error: ") == 1 and f"where:    {file}" in said.getvalue()
    assert re.search("expected:|hint:|inside each other", said.getvalue())


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> WorkingCopy:
    """The workflow, nothing made."""
    return new_working_copy(tmp_path_factory.mktemp("configfile") / "fresh")


def test_aliases_that_stand_for_millions_of_values_are_one_message(fresh):
    fresh.config.write_text("\n".join(["a: &a [x, x, x, x, x, x, x, x, x, x]", *ALIASES]))
    done = fresh.snakemake("--dry-run")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "d: found more than 10000 values\n  where:    config/micro.yaml, line 4\n" in done.stdout.replace(
        f"{fresh.folder}/", ""
    )


def test_a_file_that_snakemake_cannot_read_ends_in_its_traceback_with_the_reason_last(fresh):
    fresh.config.write_bytes(FILES["not UTF-8"])
    done = fresh.snakemake("--dry-run")
    assert done.returncode == 1
    *_, last = filter(None, done.stdout.splitlines())
    assert "Traceback" in done.stdout and last.startswith("UnicodeDecodeError: 'utf-8' codec can't decode byte 0xe9")


def test_code_in_a_file_ends_the_run_though_snakemake_has_run_it(fresh):
    fresh.config.write_text("__use_yte__: true\nname: ?str(len(open('ran', 'w').name))\n")
    done = fresh.snakemake("--dry-run")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "__use_yte__: found code, which snakemake runs as it reads the file" in done.stdout
    assert (fresh.folder / "ran").exists(), "snakemake no longer runs it: say so in docs/troubleshooting.md"
