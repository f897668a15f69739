"""Cases of bad input: what is wrong, and what is said of it.

A case is a function that makes the input in the current folder and returns the deed, a function without arguments:

    @bad("data files", "a byte that is not UTF-8", says="byte 0xe9 is not UTF-8", names="rows.csv, line 2")
    def latin():
        Path("rows.csv").write_bytes(...)
        return lambda: fetch(...)

`fine` takes cases that only look bad, with the result that is defined for them.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Deed = Callable[[], Any]


@dataclass(frozen=True)
class Bad:
    """Input that is refused."""

    topic: str
    what: str
    """What is wrong."""
    says: str
    """The first line of the message, or its start if that ends in `...`; `<folder>` stands for the current folder,
    `<digest>` for a sha256."""
    names: str
    """What of file, key or row the rest of the message names."""
    make: Callable[[], Deed]


@dataclass(frozen=True)
class Fine:
    """Input that looks bad, and what comes of it."""

    topic: str
    what: str
    gives: str
    """The result in words, for the table."""
    make: Callable[[], Deed]
    """Its deed asserts the result."""


CASES: list[Bad | Fine] = []


def bad(topic: str, what: str, *, says: str, names: str) -> Callable[[Callable[[], Deed]], Callable[[], Deed]]:
    """Note a case that is refused."""

    def note(make: Callable[[], Deed]) -> Callable[[], Deed]:
        CASES.append(Bad(topic, what, says, names, make))
        return make

    return note


def fine(topic: str, what: str, *, gives: str) -> Callable[[Callable[[], Deed]], Callable[[], Deed]]:
    """Note a case with a defined result."""

    def note(make: Callable[[], Deed]) -> Callable[[], Deed]:
        CASES.append(Fine(topic, what, gives, make))
        return make

    return note


@cache
def main_of(name: str) -> Callable[[], None]:
    """The main function of a script of scripts/."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def script(name: str, *arguments: str) -> None:
    """Run a script of scripts/ here, in this process."""
    main = main_of(name)
    with called(name, *arguments):
        main()


def command(*arguments: str) -> None:
    """Run the command `safety-regions` here, in this process."""
    from safety_regions import __main__ as cli

    with called("safety-regions", *arguments):
        cli._main()


@contextlib.contextmanager
def called(*words: str):
    """The words of a command line."""
    before, sys.argv = sys.argv, list(words)
    try:
        yield
    finally:
        sys.argv = before
