"""Files and modules that documents, comments and docstrings name are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src/safety_regions"
FOLDERS = "src|tests|scripts|rules|benchmarks|docs|profiles|envs"
PATH = re.compile(rf"(?<![\w./-])(?:\.\./)?((?:{FOLDERS})/[\w./-]+\.\w+)")
IN_PACKAGE = re.compile(r"`([a-z_]+/(?:[a-z_]+/)*[a-z_]+\.py)`")
MODULE = re.compile(r"\bsafety_regions((?:\.\w+)+)")
MADE_BY_READERS = {
    "src/safety_regions/methods/contrast.py",
    "src/safety_regions/methods/meanabs.py",
    "tests/methods/test_meanabs.py",
    "envs/safety-regions.sif",
}
"""Files that a page tells how to make."""
TEXTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "Snakefile", ROOT / "Makefile"]
TEXTS += sorted(path for name in ("config", "profiles", "rules", "envs") for path in (ROOT / name).rglob("*.*"))
CODE = [ROOT / "pyproject.toml", *sorted(path for name in ("src", "scripts") for path in (ROOT / name).rglob("*.py"))]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("text", [*TEXTS, *CODE], ids=shown)
def test_every_path_that_is_named_exists(text):
    content = text.read_text(encoding="utf-8")
    named = set(PATH.findall(content)) - MADE_BY_READERS
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    inside = {path for path in IN_PACKAGE.findall(content) if path not in MADE_BY_READERS}
    assert [p for p in sorted(inside) if not (PACKAGE / p).exists() and not (ROOT / p).exists()] == []


@pytest.mark.parametrize("text", [*TEXTS, *CODE], ids=shown)
def test_every_module_that_is_named_exists(text):
    named = {name for name in MODULE.findall(text.read_text(encoding="utf-8")) if "meanabs" not in name}
    assert [name for name in sorted(named) if not is_there(name.split(".")[1:])] == []


def is_there(parts: list[str]) -> bool:
    """Whether these lead to a module, or to a name that stands in one."""
    place = PACKAGE
    for depth, part in enumerate(parts):
        module = place / f"{part}.py"
        if module.is_file():
            rest = parts[depth + 1 :]
            return not rest or re.search(rf"\b{rest[0]}\b", module.read_text(encoding="utf-8")) is not None
        if not (place / part).is_dir():
            return (
                depth > 0 and re.search(rf"\b{part}\b", (place / "__init__.py").read_text(encoding="utf-8")) is not None
            )
        place /= part
    return True
