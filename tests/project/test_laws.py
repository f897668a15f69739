"""Which part of the code may import which: the contracts in pyproject.toml, and that breaking one is seen."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
HEAVY = ("datasets", "matplotlib", "numba", "numpy", "pandas", "requests", "scipy", "torch", "transformers")
BREACHES = {
    "kernels/bits.py": "from safety_regions.steps import jobs",
    "regions/format.py": "from safety_regions.regions import masks",
    "planning/plan.py": "import numpy",
    "overlap/counts.py": "from safety_regions.artifacts import receipts",
}
"""One import against each contract, in their order, and the module that it is put into."""


def lint(root: Path) -> subprocess.CompletedProcess:
    """import-linter over the code below a folder, by the contracts there."""
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "PYTHONWARNINGS": "default", "COLUMNS": "200"}
    words = [sys.executable, "-c", LINT, "--no-cache", "--no-logo"]
    return subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True)


def contracts() -> list[str]:
    """Their names."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return [contract["name"] for contract in settings["contracts"]]


def imported_by_rules() -> list[str]:
    """The modules of this package that the Snakefile and the rules name."""
    text = "\n".join(path.read_text() for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")])
    lines = re.findall(r"^from safety_regions\S* import .*$", text, re.MULTILINE)
    nodes = [node for node in ast.parse("\n".join(lines)).body if isinstance(node, ast.ImportFrom)]
    return sorted({f"{node.module}:{alias.name}" for node in nodes for alias in node.names})


def test_no_import_breaks_a_law():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_import_against_each_law_is_seen(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    assert len(BREACHES) == len(contracts())
    for module, line in BREACHES.items():
        with (tmp_path / "src/safety_regions" / module).open("a") as file:
            file.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert [f"{name} BROKEN" in done.stdout for name in contracts()] == [True] * len(BREACHES)


def test_what_the_snakefile_imports_is_light():
    """Every job at a cluster parses the Snakefile again."""
    assert imported_by_rules()
    lines = [f"from {module} import {name}" for module, name in (entry.split(":") for entry in imported_by_rules())]
    code = "\n".join([*lines, "import sys", f"print(sorted(set(sys.modules) & set({HEAVY})))"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
