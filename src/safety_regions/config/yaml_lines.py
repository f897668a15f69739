"""YAML read strictly, with the file and line of every key.

YAML lets pass what is nearly always a slip: a key given twice (the first is lost without a word) and a key with nothing
after its colon (which reads as null). Both are mistakes here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from safety_regions.config.mistakes import ConfigError, KeyPath, Mistake, dotted, raise_if_any, show
from safety_regions.errors import REFUSED

# The C parser is about ten times as fast; PyYAML built without it has the Python one, with the same grammar.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MERGE, NULL = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:null"
CONTAINERS = {"tag:yaml.org,2002:map": dict, "tag:yaml.org,2002:seq": list}
COMMAND_LINE = "--config"
DEEPEST = 50
MOST_VALUES = 10_000
"""Of one file: aliases of aliases of aliases let a few lines stand for any number."""


@dataclass(frozen=True)
class Place:
    """Where a value was set, and a scalar's text as written there."""

    where: str
    written: str | None = None


@dataclass
class Document:
    """The content of a YAML file and the place of every key in it."""

    data: dict
    places: dict[KeyPath, Place] = field(default_factory=dict)


class Places:
    """Where each key of several merged layers was set last."""

    def __init__(self, documents: Iterable[Document] = (), overrides: Mapping | None = None, fallback: str = ""):
        self._places: dict[KeyPath, Place] = {}
        self._fallback = fallback
        for document in documents:
            self._cover(document.data, document.places)
        if overrides:
            self._cover(overrides, _on_command_line(overrides))

    def of(self, path: KeyPath) -> Place:
        """The place of a key, or of the nearest key above it that was written down."""
        for length in range(len(path), 0, -1):
            if place := self._find(path[:length]):
                return place if length == len(path) else Place(place.where)
        return Place(self._fallback)

    def _find(self, path: KeyPath) -> Place | None:
        # Pydantic names a key that is too large a number by its text.
        text = [str(key) for key in path]
        return self._places.get(path) or next(
            (at for known, at in self._places.items() if [str(key) for key in known] == text), None
        )

    def has(self, path: KeyPath) -> bool:
        """Whether a key was written down anywhere."""
        return path in self._places

    def _cover(self, data: Any, places: dict[KeyPath, Place], path: KeyPath = ()) -> None:
        set_before = path in self._places
        if path:
            self._places[path] = places[path]
        if isinstance(data, Mapping):
            for key, value in data.items():
                self._cover(value, places, (*path, key))
            return
        if set_before:
            # Lists and scalars replace what lay under their key as a whole.
            for below in [known for known in self._places if known[: len(path)] == path and known != path]:
                del self._places[below]
        for index, value in enumerate(data if isinstance(data, list) else ()):
            self._cover(value, places, (*path, index))


def read_yaml(path: Path | str) -> dict:
    """The mapping in a YAML file. Raises `UserError` with file and line for anything that is not one clean mapping."""
    return read_document(path).data


def check_files(files: Iterable[Path | str]) -> None:
    """Read each file strictly. Raises one `UserError` that lists the mistakes of all."""
    read_documents(files)


def read_documents(files: Iterable[Path | str]) -> list[Document]:
    """The content and places of each file. Raises one `UserError` that lists the mistakes of all."""
    documents, mistakes = [], []
    for file in files:
        try:
            documents.append(read_document(file))
        except ConfigError as error:
            mistakes += error.mistakes
    raise_if_any(mistakes)
    return documents


def read_document(path: Path | str) -> Document:
    """The mapping in a YAML file with the line of every key. Raises `UserError` as `read_yaml` does."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
        _check_depth(str(path), text)
        loader = Loader(text)
        try:
            builder = _Builder(str(path), loader)
            node = loader.get_single_node()
            data = builder.build(node, ()) if node else None
        finally:
            loader.dispose()
    except OSError as error:
        raise ConfigError(
            [
                Mistake(
                    f"a file that cannot be read ({error.strerror})",
                    str(path),
                    hint=REFUSED.get(error.errno or 0, "paths are relative to the folder in which snakemake runs"),
                )
            ]
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            [
                Mistake(
                    f"a byte that is not UTF-8, {error.start} bytes into the file",
                    str(path),
                    expected="a UTF-8 text file",
                )
            ]
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError([_syntax_mistake(str(path), error)]) from None
    raise_if_any(builder.mistakes)
    if not isinstance(data, dict):
        found = "an empty file" if node is None else show(data)
        raise ConfigError([Mistake(found, str(path), expected="a mapping of keys to values (`key: value` lines)")])
    return Document(data, builder.places)


def _check_depth(file: str, text: str) -> None:
    """Refuse nesting that would overflow the stack of the parsers, which recurse."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            where = f"{file}, line {event.start_mark.line + 1}" if event.start_mark else file
            raise ConfigError([Mistake(f"more than {DEEPEST} lists or mappings inside each other", where)])


class _Builder:
    """Builds plain values from YAML nodes, noting places and mistakes on the way."""

    def __init__(self, file: str, loader: Any):
        self.file, self.loader = file, loader
        self.places: dict[KeyPath, Place] = {}
        self.mistakes: list[Mistake] = []
        self._open: set[int] = set()
        self._built = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._built += 1
        if self._built > MOST_VALUES:
            raise ConfigError(
                [
                    Mistake(
                        f"more than {MOST_VALUES} values",
                        self.places[path[:1]].where if path else self._where(node),
                        dotted(path[:1]),
                        hint="write out what the aliases (*name) stand for, once",
                    )
                ]
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            return self._mistake(node, path, "an alias of a value that it is itself part of")
        if node.tag not in CONTAINERS:
            return self._mistake(node, path, f"the YAML tag {node.tag}", expected="plain lists and mappings")
        self._open.add(id(node))
        try:
            return self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._sequence(node, path)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        try:
            return self.loader.construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError) as error:
            reason = getattr(error, "problem", None) or str(error)
            return self._mistake(
                node, path, f'"{node.value[:80]}", which YAML cannot read ({reason})', hint="put text in quotes"
            )

    def _sequence(self, node: yaml.Node, path: KeyPath) -> list:
        values = []
        for index, item in enumerate(node.value):
            self._note((*path, index), item, item)
            values.append(self.build(item, (*path, index)))
        return values

    def _mapping(self, node: yaml.Node, path: KeyPath) -> dict:
        merged: dict = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                merged = self._merge_key(value_node, path) | merged
        own: dict = {}
        lines: dict = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                continue
            key = self.build(key_node, path)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str | int):
                self._mistake(key_node, path, f"a key that is {show(key)}", expected="keys that are plain text")
                continue
            if key in own:
                self._mistake(
                    key_node,
                    (*path, key),
                    f"this key twice, first in line {lines[key]}",
                    expected="each key once",
                    hint="YAML would silently drop the first; keep one",
                )
                continue
            lines[key] = line
            self._note((*path, key), key_node, value_node)
            if isinstance(value_node, yaml.ScalarNode) and value_node.tag == NULL and value_node.value == "":
                self._mistake(
                    key_node,
                    (*path, key),
                    "nothing after the colon",
                    hint="remove the key for its default, indent what belongs under it,"
                    " write {} for an empty mapping, or null if null is meant",
                )
            own[key] = self.build(value_node, (*path, key))
        return merged | own

    def _merge_key(self, node: yaml.Node, path: KeyPath) -> dict:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict = {}
        for source in reversed(sources):
            value = self.build(source, path)
            if not isinstance(value, dict):
                self._mistake(source, path, f"{show(value)} after `<<:`", expected="an alias of a mapping")
                continue
            merged |= value
        return merged

    def _note(self, path: KeyPath, at: yaml.Node, value: yaml.Node) -> None:
        written = value.value if isinstance(value, yaml.ScalarNode) and not value.style else None
        self.places[path] = Place(self._where(at), written)

    def _where(self, node: yaml.Node) -> str:
        return f"{self.file}, line {node.start_mark.line + 1}"

    def _mistake(self, node: yaml.Node, path: KeyPath, found: str, expected: str = "", hint: str = "") -> None:
        self.mistakes.append(Mistake(found, self._where(node), dotted(path), expected, hint))


def _on_command_line(value: Any, path: KeyPath = ()) -> dict[KeyPath, Place]:
    items: Iterable = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    places = {path: Place(COMMAND_LINE)}
    for key, item in items:
        places |= _on_command_line(item, (*path, key))
    return places


def _syntax_mistake(file: str, error: yaml.YAMLError) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    where = f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else file
    parts = (getattr(error, "context", None), getattr(error, "problem", None) or getattr(error, "reason", None))
    reason = ", ".join(part for part in parts if part) or type(error).__name__
    tab = "cannot start any token" in reason
    hint = (
        "indent with spaces, not tabs"
        if tab
        else "check the indentation, colons, brackets and quotes here and in the line above"
    )
    return Mistake(f"text that is not YAML: {reason}", where, hint=hint)
