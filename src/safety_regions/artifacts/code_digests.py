"""Which code decides the bytes of an artifact, and digests of it.

The modules are those that the makers of its kind (`artifacts.kinds`) reach by imports, and the files beside these that
are no Python: templates and styles. `NO_BYTES` is left out.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT.name
DIGITS = 16
NO_BYTES = {
    "errors": "what people are told",
    "progress": "what people are shown",
    "artifacts": "where results lie, and what receipts say of them",
    "config": "whatever of it decides a byte stands in a recipe",
    "planning": "it decides recipes: another recipe is another artifact",
    "steps.jobs": "how a job goes through its list",
    "steps.arguments": "how a recipe is read",
}
"""Modules and packages that change no byte of an artifact whose recipe stays the same, and why."""


def path_of(name: str) -> Path:
    """The file of a module (`regions.select`), or of a file by its path in the package (`report/page/page.html`)."""
    if "/" in name:
        return ROOT / name
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def with_files_beside(modules: Iterable[str]) -> tuple[str, ...]:
    """Those of the modules that may decide a byte, and the files beside them that are no Python; sorted."""
    deciding = {module for module in modules if may_decide(module)}
    folders = {path_of(module).parent for module in deciding}
    beside = {
        p for folder in folders for p in folder.iterdir() if p.is_file() and p.suffix not in (".py", ".pyc", ".typed")
    }
    return tuple(sorted(deciding | {path.relative_to(ROOT).as_posix() for path in beside}))


def may_decide(module: str) -> bool:
    """Whether a module may change a byte of an artifact whose recipe stays the same."""
    return bool(module) and not any(module == name or module.startswith(f"{name}.") for name in NO_BYTES)


def digest_of_source(source: str) -> str:
    """Digest of a module's syntax tree, 16 hexadecimal digits of a sha256.

    No part of it are comments, layout, docstrings, imports (a module that moves changes none of its users), and what
    errors say: of a `raise`, only that it stands there.
    """
    tree = ast.parse(source)
    _Deciding().visit(tree)
    return digest_of_bytes(ast.unparse(ast.fix_missing_locations(tree)).encode())


def digest_of_bytes(content: bytes) -> str:
    """16 hexadecimal digits of a sha256."""
    return hashlib.sha256(content).hexdigest()[:DIGITS]


class _Deciding(ast.NodeTransformer):
    """Leaves of a syntax tree what can decide a byte."""

    def visit(self, node: ast.AST) -> ast.AST | None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            return None
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        if isinstance(node, ast.Raise):
            return ast.Raise()
        left = self.generic_visit(node)
        if getattr(left, "body", None) == []:
            left.body = [ast.Pass()]  # type: ignore[attr-defined]
        return left


def imports_of_source(source: str) -> tuple[str, ...]:
    """The modules of this package that a module imports, anywhere in it; sorted."""
    return tuple(sorted(set(_imported(ast.parse(source)))))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            package = node.module.removeprefix(PACKAGE).lstrip(".")
            for alias in node.names:
                module = f"{package}.{alias.name}".lstrip(".")
                yield module if path_of(module).is_file() else package
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix(f"{PACKAGE}.") for a in node.names if a.name.startswith(f"{PACKAGE}."))
