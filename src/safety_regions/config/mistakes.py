"""One mistake in a configuration file, and the error that lists all of them at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from safety_regions.errors import UserError

KeyPath = tuple[str | int, ...]
"""Keys (and list indices) from the top of a YAML file down to one value."""

LONGEST_SHOWN = 80


@dataclass(frozen=True)
class Mistake:
    """What was found where, in the words of the person who wrote the file."""

    found: str
    where: str
    key: str = ""
    expected: str = ""
    hint: str = ""

    @property
    def headline(self) -> str:
        """The key and what it holds."""
        return f"{self.key}: found {self.found}" if self.key else f"found {self.found}"


class ConfigError(UserError):
    """Every mistake of a configuration, in one error."""

    def __init__(self, mistakes: Iterable[Mistake]):
        self.mistakes = list(mistakes)
        if len(self.mistakes) == 1:
            (only,) = self.mistakes
            super().__init__(only.headline, where=only.where, expected=only.expected, hint=only.hint)
        else:
            blocks = [_block(number, mistake) for number, mistake in enumerate(self.mistakes, 1)]
            super().__init__("\n".join([f"{len(self.mistakes)} mistakes in the configuration", *blocks]))


def raise_if_any(mistakes: list[Mistake]) -> None:
    """Raise `ConfigError` unless the list is empty."""
    if mistakes:
        raise ConfigError(mistakes)


def dotted(path: KeyPath) -> str:
    """The key as people write it: `datasets.safety.0`."""
    return ".".join(map(_key_text, path))


def show(value: Any, written: str | None = None) -> str:
    """A value in plain words; `written` is its text in the file, named where YAML read it as something else."""
    match value:
        case None:
            shown = "nothing (null)"
        case bool():
            shown = str(value).lower()
        case str():
            return f'the text "{_shorten(value)}"'
        case int() | float():
            shown = f"the number {_shorten(repr(value))}"
        case list():
            return f"a list of {len(value)}: {_shorten(_flow(value))}" if value else "an empty list"
        case dict():
            return f"a mapping: {_shorten(_flow(value))}" if value else "an empty mapping"
        case _:
            shown = f"a {type(value).__name__}: {_shorten(str(value))}"
    read_otherwise = written not in (None, "", "null", "~", str(value), str(value).lower())
    return f"{shown} (written {_shorten(str(written))})" if read_otherwise else shown


def _block(number: int, mistake: Mistake) -> str:
    details = [("where:   ", mistake.where), ("expected:", mistake.expected), ("hint:    ", mistake.hint)]
    return "\n".join([f"{number}. {mistake.headline}", *(f"     {name} {text}" for name, text in details if text)])


def _key_text(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) or key is None else str(key)


def _flow(value: Any) -> str:
    match value:
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case dict():
            return "{" + ", ".join(f"{_key_text(key)}: {_flow(item)}" for key, item in value.items()) + "}"
        case bool() | None:
            return "null" if value is None else str(value).lower()
        case _:
            return str(value)


def _shorten(text: str) -> str:
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
