"""Validation errors of pydantic, told as mistakes of the person who wrote the file."""

import math
from typing import Any

from pydantic import ValidationError

from safety_regions.config.mistakes import KeyPath, Mistake, dotted, show
from safety_regions.config.schema_in_words import Allowed, Spot
from safety_regions.config.yaml_lines import Place, Places
from safety_regions.errors import did_you_mean


def mistakes_of(
    error: ValidationError, data: dict, allowed: Allowed, places: Places, *, entries: bool = False
) -> list[Mistake]:
    """Each validation error of `data` as a `Mistake`, one per key.

    `entries`: the schema is a registry, whose first key is an id and not part of hints about keys elsewhere.
    """
    told: dict[tuple, Mistake] = {}
    for detail in error.errors(include_url=False, include_context=False):
        spot = allowed.follow(detail["loc"])
        mistake = _mistake(detail, data, spot, allowed, places, entries)
        told.setdefault((mistake.key, mistake.where, spot.is_key), mistake)
    return list(told.values())


def _mistake(detail: Any, data: dict, spot: Spot, allowed: Allowed, places: Places, entries: bool) -> Mistake:
    place, key, kind = places.of(spot.path), dotted(spot.path), detail["type"]
    if kind == "missing":
        hint = "add the key; its place is in the mapping that starts here"
        return Mistake("no such key", place.where, key, allowed.describe(spot.schema), hint)
    if kind == "extra_forbidden":
        expected = f"one of the keys: {', '.join(allowed.keys(spot.parent)) or '(none)'}"
        return Mistake("an unknown key", place.where, key, expected, _elsewhere(spot, allowed, entries))
    if kind == "invalid_key" or spot.is_key:
        return _wrong_key(detail["input"], place, dotted((*spot.path[:-1], detail["input"])))
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _wrong_kind(detail["input"], spot, allowed, places)
    if kind == "value_error":
        return _broken_rule(detail, spot, allowed, places)
    # In a union, pydantic may report an item of the value that fits neither branch.
    value = _at(data, spot.path, detail["input"])
    return Mistake(
        show(value, place.written), place.where, key, allowed.describe(spot.schema), _hint(value, spot, allowed)
    )


def _at(data: Any, path: KeyPath, otherwise: Any) -> Any:
    try:
        for step in path:
            data = data[step]
    except (KeyError, IndexError, TypeError):
        return otherwise
    return data


def _elsewhere(spot: Spot, allowed: Allowed, entries: bool) -> str:
    """For an unknown key: one here that differs by a letter, the same key at other places of the schema, or else the
    nearest key here.
    """
    here, name = spot.path[entries:], str(spot.path[-1])
    if by_a_letter := _near(name, allowed.keys(spot.parent), cutoff=0.9):
        return by_a_letter
    root = allowed.entry() if entries else None
    other = dict.fromkeys(path for path in allowed.paths(root) if path[-1] == name and path != here)
    if other:
        return f"did you mean {' or '.join(dotted(path) for path in other)}?"
    return _near(name, allowed.keys(spot.parent))


def _near(word: str, words: list[str], cutoff: float = 0.6) -> str:
    """The nearest word; the list of all of them stands in what is expected."""
    hint = did_you_mean(word, words, cutoff)
    return "" if hint.startswith("known:") else hint


def _wrong_key(value: Any, place: Place, key: str) -> Mistake:
    if isinstance(value, str):
        return Mistake(f"the key {show(value)[4:]}", place.where, key, "a name of letters, digits, _ and -, at most 64")
    hint = "put the key in quotes: YAML reads bare yes, no, on, off as true and false, and digits as a number"
    return Mistake(f"{show(value)} as a key", place.where, key, "keys that are text", hint)


def _wrong_kind(value: Any, spot: Spot, allowed: Allowed, places: Places) -> Mistake:
    expected = allowed.describe(spot.schema)
    kinds = allowed.choices_of_kind(spot.schema)
    if not isinstance(value, dict) or "kind" not in value:
        found = show(value) if not isinstance(value, dict) else "a mapping without `kind`"
        return Mistake(found, places.of(spot.path).where, dotted(spot.path), expected)
    path, kind = (*spot.path, "kind"), value["kind"]
    hint = _near(kind, kinds) if isinstance(kind, str) else ""
    place = places.of(path)
    return Mistake(show(kind, place.written), place.where, dotted(path), f"one of: {', '.join(kinds)}", hint)


def _broken_rule(detail: Any, spot: Spot, allowed: Allowed, places: Places) -> Mistake:
    """A rule over several keys; its message starts with the key that breaks it, or names one, if one alone does."""
    message = detail["msg"].removeprefix("Value error, ")
    words, keys = message.split(), allowed.keys(spot.schema)
    named = words[:1] if words[0] in keys else [word for word in dict.fromkeys(words) if word in keys]
    path = (*spot.path, *named) if len(named) == 1 else spot.path
    unset = path != spot.path and not places.has(path)
    hint = f"{dotted(path)} is not set, so its default counts: set it too" if unset else ""
    return Mistake(f"values that do not fit together: {message}", places.of(path).where, dotted(path), hint=hint)


def _hint(value: Any, spot: Spot, allowed: Allowed) -> str:
    words = allowed.choices(spot.schema)
    numeric = any(allowed.takes(spot.schema, kind) for kind in ("number", "integer"))
    match value:
        case None:
            return "remove the key for its default" + (", or write none" if "none" in words else "")
        case bool() if words or allowed.takes(spot.schema, "string"):
            return "YAML reads bare yes, no, on, off as true and false: put text in quotes"
        case int() | float() if allowed.takes(spot.schema, "string"):
            return "put it in quotes, so that YAML reads text and not a number"
        case str() if words:
            return _near(value, words)
        case str() if numeric:
            return _written_number(value, whole=allowed.takes(spot.schema, "integer"))
        case str() if allowed.takes(spot.schema, "array"):
            return f"write a list: [{value}]"
        case int() | float() if numeric and not isinstance(value, bool):
            return _better_number(value, spot, allowed)
        case dict() if allowed.takes(spot.schema, "array"):
            return "write a list: [a, b], or one `- item` a line"
        case _:
            return ""


def _written_number(text: str, whole: bool) -> str:
    """How to write a number that YAML read as text: `1e-3`, `5%`, `1,5`."""
    share = text.strip().endswith("%")
    try:
        number = float(text.strip().removesuffix("%").replace(",", ".")) / (100 if share else 1)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return "only finite numbers count"
    if whole:
        return f"write {int(number)}" if number.is_integer() else ""
    plain = f"{number:.12f}".rstrip("0").rstrip(".")
    if "e" not in text.lower():
        return f"write {plain}"
    mantissa, _, exponent = text.strip().lower().partition("e")
    scientific = (
        f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent if exponent[0] in '+-' else '+' + exponent}"
    )
    return f"write {plain} or {scientific}"


def _better_number(value: int | float, spot: Spot, allowed: Allowed) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "only finite numbers count"
    if isinstance(value, float) and allowed.takes(spot.schema, "integer"):
        return f"write {int(value)}" if value.is_integer() else ""
    if allowed.is_fraction(spot.schema) and 1 < value <= 100:
        return f"fractions, not percentages: {value:g}% is {value / 100:g}"
    return ""
