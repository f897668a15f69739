"""Bad input ends with one message that names it, and with every file as it was."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from case import ROOT, Bad, Fine
from every_case import CASES, DOCS, page

from safety_regions.errors import run_main


def listing(folder: Path) -> dict[str, bytes | str | None]:
    """What every path below a folder holds."""
    held: dict[str, bytes | str | None] = {}
    for path in folder.rglob("*"):
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        held[str(path.relative_to(folder))] = content
    return held


def masked(text: str, folder: Path) -> str:
    """The text without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "<digest>", text.replace(str(folder), "<folder>"))
    return re.sub(r"\brecipe [0-9a-f]{12}\b", "recipe <digits>", text)


def ids(one: Bad | Fine) -> str:
    return re.sub(r"[^\w]+", "-", f"{one.topic} {one.what}")


@pytest.mark.parametrize("one", [one for one in CASES if isinstance(one, Bad)], ids=ids)
def test_it_is_refused_with_one_message_and_nothing_lost(one, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    deed = one.make()
    before = listing(tmp_path)
    capfd.readouterr()
    with pytest.raises(SystemExit) as exit:
        run_main(deed)
    said = capfd.readouterr().err
    assert exit.value.code in (1, 2)
    assert "Traceback" not in said and said.count("error: ") == 1
    usage, message = said.split("error: ")
    first, *rest = message.splitlines()
    start = one.says.removesuffix("...").strip()
    assert masked(first, tmp_path).startswith(start)
    assert one.says.endswith("...") or masked(first, tmp_path).strip() == start
    further = "\n".join([*rest, usage if exit.value.code == 2 else ""])
    assert one.names in masked(further, tmp_path)
    assert re.search("expected:|hint:|usage:", further) or re.search("missing|do not fit together", first)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("one", [one for one in CASES if isinstance(one, Fine)], ids=ids)
def test_what_only_looks_bad_has_its_result(one, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    deed = one.make()
    before = listing(tmp_path)
    deed()
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["scripts/sample_prompts.py", "--recipe", "{", "--rows", "x", "--output", "out"], 1, "error: not a recipe: "),
        (["-m", "safety_regions", "provenance", "nowhere"], 1, "error: no such file, and no receipt of one\n"),
        (["-m", "safety_regions", "publsh"], 1, "error: no command 'publsh'\n"),
    ],
)
def test_processes_exit_with_the_same_message(command, code, says, tmp_path):
    command = [str(ROOT / word) if word.endswith(".py") else word for word in command]
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code
    assert says in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_page_is_what_the_cases_say():
    assert DOCS.read_text(encoding="utf-8") == page(), "run python tests/bad_input/table.py"


def test_there_are_enough_cases_and_none_twice():
    assert len(CASES) >= 80
    assert len({(one.topic, one.what) for one in CASES}) == len(CASES)
