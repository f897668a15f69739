"""Small changes of a module's source: those of cosmic-ray's operators, and some nearer to what people get wrong.

Left alone are the words of errors, what progress says, annotations, decorators and stars in signatures: no result
follows from them.
"""

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

LEFT_OUT = ("VariableReplacer", "VariableInserter", "_Eq_Is", "_Is_Eq", "_NotEq_IsNot", "_IsNot_NotEq")
"""Operators that need arguments, and those whose changes are the same for words and None, which is most of them."""
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any", "ceil": "floor", "floor": "ceil", "mean": "max"}
SAID = ("progress", "note", "warn")
UNSEEN = ("device", "strict")
"""Keywords that change nothing on a machine without a GPU, or only what a mistake elsewhere leads to."""
Place = tuple[int, int, int, int]
"""Line, column, end line, end column; lines from 1."""


@dataclass(frozen=True)
class Change:
    """One way to change a module."""

    operator: str
    place: Place
    occurrence: int = 0
    """Of cosmic-ray's operator in the module."""
    text: str | None = None
    """What stands in the place instead, for changes of our own."""

    def applied(self, source: str) -> str | None:
        """The changed source; None if it is no Python or the same program."""
        if self.text is None:
            try:
                changed = mutate_code(source, _operator(self.operator), self.occurrence)
            except AttributeError:
                # cosmic-ray 8.7 knows no exception with a dot in its name.
                return None
        else:
            start, end = _offset(source, *self.place[:2]), _offset(source, *self.place[2:])
            whole = source.encode()
            changed = (whole[:start] + self.text.encode() + whole[end:]).decode()
        try:
            same = changed is None or ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source))
        except SyntaxError:
            return None
        return None if same else changed


def changes_of(source: str) -> list[Change]:
    """All of a module, in the order of their places."""
    spared = list(_spared(ast.parse(source)))
    found = [*_by_cosmic_ray(source), *_own(source)]
    inside = [change for change in found if not any(_within(change.place, place) for place in spared)]
    return sorted(inside, key=lambda change: (change.place, change.operator, change.occurrence, change.text or ""))


def said(source: str, changed: str) -> tuple[str, str]:
    """The changed lines before and after, each in one line."""
    lines = list(difflib.unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0))[2:]
    parts = [[line[1:].strip() for line in lines if line.startswith(sign) and line[1:].strip()] for sign in "-+"]
    return " ".join(parts[0]), " ".join(parts[1])


@cache
def _operator(name: str):
    return cosmic_ray.plugins.get_operator(name)()


def _by_cosmic_ray(source: str) -> Iterator[Change]:
    nodes = list(ast_nodes(get_ast(source)))
    for name in cosmic_ray.plugins.operator_names():
        if name.endswith(LEFT_OUT):
            continue
        places = (place for node in nodes for place in _operator(name).mutation_positions(node))
        for occurrence, (start, end) in enumerate(places):
            yield Change(name, (*start, *end), occurrence)


def _own(source: str) -> Iterator[Change]:
    for node in ast.walk(ast.parse(source)):
        if _can_be_missed(node):
            yield Change("own/drop-statement", _place(node), text="pass")
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            for left in node.elts if isinstance(node.ctx, ast.Load) else ():
                yield Change("own/drop-element", _place(node), text=f"({ast.unparse(left)},)")
        elif isinstance(node, ast.List | ast.Tuple | ast.Set) and not isinstance(getattr(node, "ctx", None), ast.Store):
            yield from _dropped(source, [_place(element) for element in node.elts], "own/drop-element")
        if isinstance(node, ast.Dict) and len(node.values) > 1 and None not in node.keys:
            pairs = [_span(key, value) for key, value in zip(node.keys, node.values, strict=True)]
            yield from _dropped(source, pairs, "own/drop-element")
        if isinstance(node, ast.Call):
            yield from _of_call(source, node)
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            for value in ("True", "False"):
                yield Change("own/decide", _place(node.test), text=value)
        if isinstance(node, ast.comprehension):
            for test in node.ifs:
                yield Change("own/decide", _place(test), text="True")


def _of_call(source: str, call: ast.Call) -> Iterator[Change]:
    if len(call.args) + len(call.keywords) > 1:
        keywords = [_place(keyword) for keyword in call.keywords if keyword.arg not in UNSEEN]
        yield from _dropped(source, keywords, "own/drop-keyword", alone=True)
    named = (
        call.func.id
        if isinstance(call.func, ast.Name)
        else call.func.attr
        if isinstance(call.func, ast.Attribute)
        else ""
    )
    if named in SWAPPED:
        *_, line, column = _place(call.func)
        yield Change("own/swap", (line, column - len(named), line, column), text=SWAPPED[named])
    if isinstance(call.func, ast.Name) and named == "sorted" and len(call.args) == 1:
        yield Change(
            "own/unsorted", _place(call.func), text="list" if not call.keywords else "(lambda x, **_: list(x))"
        )


def _dropped(source: str, places: list[Place], operator: str, alone: bool = False) -> Iterator[Change]:
    """Each of some places emptied, with a comma beside it; `alone`: others may stand before the only one."""
    for place in places:
        end = _offset(source, *place[2:])
        behind = source.encode()[end:].decode()
        comma = len(behind) - len(behind.lstrip()) if behind.lstrip().startswith(",") else -1
        if comma >= 0:
            line, column = _position(source, end + len(behind[: comma + 1].encode()))
            yield Change(operator, (*place[:2], line, column), text="")
        elif len(places) > 1 or alone:
            start = _offset(source, *place[:2])
            before = source.encode()[:start].decode().rstrip()
            if before.endswith(","):
                yield Change(operator, (*_position(source, len(before[:-1].encode())), *place[2:]), text="")


def _spared(tree: ast.Module) -> Iterator[Place]:
    """Where nothing is changed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from (_place(decorator) for decorator in node.decorator_list)
        if isinstance(node, ast.FunctionDef) and node.returns:
            yield _place(node.returns)
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            yield _place(node.annotation)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp) and _is_type(node):
            yield _place(node)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from (_place(argument) for argument in [*node.exc.args, *node.exc.keywords])
            yield _span(node.exc, node.exc)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in SAID:
                yield _place(node)
        if isinstance(node, ast.FunctionDef):
            yield from _star(node.args)
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield _place(node)
        if isinstance(node, ast.keyword) and node.arg in UNSEEN:
            yield _place(node)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield _place(node)


def _star(of: ast.arguments) -> Iterator[Place]:
    """The bare star before the arguments that are given by name, which cosmic-ray takes for a product."""
    before = [*of.posonlyargs, *of.args, *of.defaults]
    if of.kwonlyargs and of.vararg is None and before:
        yield *max(_place(node)[2:] for node in before), *_place(of.kwonlyargs[0])[:2]


def _is_type(node: ast.Assign) -> bool:
    """A name for a type, by how it is written: `Words = UInt64[...]`."""
    if not isinstance(node.value, ast.Subscript) or not isinstance(node.value.value, ast.Name):
        return False
    name = node.value.value.id
    return name[0].isupper() or name in ("tuple", "dict", "list")


def _can_be_missed(node: ast.AST) -> bool:
    """A statement for its effect; without one that names a value the name is missing, which is seen at once."""
    if isinstance(node, ast.Assign):
        return not any(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Expr | ast.AugAssign) and not is_docstring


def _within(inner: Place, outer: Place) -> bool:
    return outer[:2] <= inner[:2] and inner[2:] <= outer[2:]


def _place(node: ast.AST) -> Place:
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def _span(first: ast.AST, last: ast.AST) -> Place:
    return *_place(first)[:2], *_place(last)[2:]


def _offset(source: str, line: int, column: int) -> int:
    """Of a place, in UTF-8 bytes, as `ast` counts columns."""
    return sum(len(text.encode()) for text in source.splitlines(keepends=True)[: line - 1]) + column


def _position(source: str, offset: int) -> tuple[int, int]:
    before = source.encode()[:offset]
    return before.count(b"\n") + 1, offset - (before.rfind(b"\n") + 1)
