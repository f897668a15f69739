"""Digests of a module's syntax tree, so that an artifact can be seen to come from other code than today's.

Comments, docstrings and layout are not part of it. A changed digest is a warning: whether the bytes change is for the
method's `version` to say.
"""

import ast
import hashlib
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def code_digest(module: str) -> str:
    """sha256 of the module's syntax tree without docstrings, 64 hexadecimal digits. The module is not imported."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body[0] = ast.Pass()
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def code_digests(*modules: str) -> dict[str, str]:
    """The digest of each module, by its name."""
    return {module: code_digest(module) for module in modules}


def warn_if_changed(artifact: str, recorded: dict[str, str]) -> None:
    """Say on stderr which of the modules that made an artifact have changed since."""
    for module, digest in recorded.items():
        try:
            changed = code_digest(module) != digest
        except ModuleNotFoundError:
            changed = True
        if changed:
            print(
                f"warning: {module} has changed since {artifact} was made; it is used as it is (a new `version` of the method recomputes it)",
                file=sys.stderr,
            )


def code_now(module: str) -> str | None:
    try:
        return code_digest(module)
    except ModuleNotFoundError:
        return None
