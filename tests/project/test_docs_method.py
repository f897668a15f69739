"""docs/add-a-method.md, applied to a copy of the code word for word: both methods are planned, costed and run through
every step, and agree with their definitions.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pipeline import ROOT

PAGE = (ROOT / "docs/add-a-method.md").read_text(encoding="utf-8")
BLOCK = r"\n+```python\n(.*?)```"
METHODS = ("meanabs", "contrast")
MOST_LINES = {"meanabs": 60, "contrast": 90}
MOST_SOURCE_FILES = 3
TESTS_THAT_SEE_METHODS = ("config/test_method_catalogue.py", "methods/test_passes.py", "models/test_spread.py")


def blocks(before: str) -> list[str]:
    """The code blocks of the page that follow text of this pattern."""
    return [match.groups()[-1] for match in re.finditer(before + BLOCK, PAGE, re.DOTALL)]


def new_file(name: str) -> str:
    (code,) = blocks(rf"The new file `src/safety_regions/methods/{name}\.py`:")
    return code


def inserts() -> list[tuple[str, str, str, str]]:
    """File, `below` or `above`, line and code of every change to a file that is there; in the order of the page."""
    found, file = [], ""
    for named, where, line, code in re.findall(
        r"(?:`(src/[^`]+)`|in the same file), (below|above) `([^`]+)`:" + BLOCK, PAGE, re.DOTALL
    ):
        file = named or file
        found.append((file, where, line, code))
    return found


def apply_to(root: Path) -> set[str]:
    """Do to a copy of the repository what the page says; the source files touched."""
    for name in METHODS:
        (root / f"src/safety_regions/methods/{name}.py").write_text(new_file(name))
    for file, where, line, code in inserts():
        text = (root / file).read_text()
        assert text.count(f"{line}\n") == 1, (file, line)
        (root / file).write_text(
            text.replace(f"{line}\n", f"{line}\n{code}" if where == "below" else f"{code}\n\n{line}\n")
        )
    return {file for file, *_ in inserts()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the repository with both methods in it."""
    root = tmp_path_factory.mktemp("copy")
    package = root / "src/safety_regions"
    shutil.copytree(ROOT / "src/safety_regions", package, ignore=shutil.ignore_patterns("__pycache__", "kernels"))
    # Its loops are not compiled anew where they stay the same files.
    (package / "kernels").symlink_to(ROOT / "src/safety_regions/kernels")
    for name in ("config", "scripts", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("docs", "rules", "Snakefile", "pyproject.toml"):
        (root / name).symlink_to(ROOT / name)
    touched = apply_to(root)
    assert len(touched) + 1 == MOST_SOURCE_FILES, touched
    (tests,) = blocks(r"`tests/methods/test_meanabs\.py`:")
    (root / "tests/methods/test_meanabs.py").write_text(tests)
    return root


def run(copy: Path, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    path = os.pathsep.join(map(str, [copy / "src", copy / "tests/support", copy / "tests/methods"]))
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd or copy,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_both_examples_run_through_every_step(copy: Path, tmp_path: Path) -> None:
    done = run(copy, str(ROOT / "tests/support/added_methods.py"), str(copy), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_tests_that_the_page_names_pass_after_what_it_says(copy: Path) -> None:
    assert all(f"`tests/{name}`" in PAGE for name in TESTS_THAT_SEE_METHODS)
    commands = re.findall(r"^\| `python ([^`]+)` \|", PAGE, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = run(copy, *command.split())
        assert done.returncode == 0, done.stderr[-3000:]
    assert run(copy, "tests/artifacts/test_golden.py", "contrast").returncode == 0
    assert "meanabs: null" in (copy / "config/demo.yaml").read_text()
    named = [
        f"tests/{name}" for name in (*TESTS_THAT_SEE_METHODS, "methods/test_meanabs.py", "config/test_generate.py")
    ]
    golden = ["tests/artifacts/test_golden.py", "-k", "meanabs or contrast or every_kind"]
    for tests in (named, golden):
        done = run(copy, "-m", "pytest", "-p", "no:cacheprovider", *tests)
        assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("name", METHODS)
def test_the_examples_are_short(name: str) -> None:
    of_entries = [code for _, _, _, code in inserts() if name in code.lower()]
    assert len(of_entries) == 3
    lines = [line for block in [new_file(name), *of_entries] for line in block.splitlines() if line.strip()]
    assert len(lines) < MOST_LINES[name]
