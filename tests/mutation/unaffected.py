"""Modules of the package that a change of one of them cannot reach: loaded once, they serve all of its mutants."""

import ast
from collections.abc import Iterable
from pathlib import Path

PACKAGE = "safety_regions"


def unaffected(root: Path, module: str, tests: Iterable[Path]) -> list[str]:
    """The names of those that some tests need, of which none imports `module`, even by way of others.

    `root`: of the project; `module`: its path below the package. An import inside a function counts as any other.
    """
    names = {_name(root, file): file for file in (root / "src" / PACKAGE).rglob("*.py")}
    imports = {name: _imported(file) & names.keys() for name, file in names.items()}
    by_tests = set().union(*(_imported(file) for file in tests)) & names.keys()
    changed = _name(root, root / "src" / PACKAGE / module)
    return sorted(name for name in _reached(by_tests, imports) if changed not in _reached({name}, imports))


def _reached(names: set[str], imports: dict[str, set[str]]) -> set[str]:
    reached, pending = set(), list(names)
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += imports[name]
    return reached


def _name(root: Path, file: Path) -> str:
    parts = file.relative_to(root / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(file: Path) -> set[str]:
    """Whatever a file imports may be a module: `from a.b import c` names a, a.b and a.b.c. What only type checkers read
    is not imported.
    """
    found: set[str] = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_checkers = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    unread = {inner for node in for_checkers for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in unread:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found | {".".join(name.split(".")[:n]) for name in found for n in range(1, name.count(".") + 1)}
