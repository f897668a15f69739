"""Recipes: all that decides an artifact's bytes, and nothing else, as one record for each kind of artifact."""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, get_args

from pydantic import ConfigDict

from safety_regions.artifacts.kinds import KINDS
from safety_regions.artifacts.receipts import recipe_digest


@dataclass(frozen=True, kw_only=True)
class Record:
    """Named values that stand in JSON as a mapping."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values by field; one that may be None, and by default is, is left out where it is."""
        return _plain(self._values())

    def _values(self) -> dict[str, Any]:
        """What `as_json` has, but for tuples in place of lists: the JSON text of both is the same."""
        values = dict(vars(self))
        # mypy takes the hash of the instances for that of the class.
        optional, records = _special(type(self))  # type: ignore[arg-type]
        for name in optional:
            if values[name] is None:
                del values[name]
        for name in records & values.keys():
            values[name] = values[name]._values()
        return values


@dataclass(frozen=True, kw_only=True)
class Recipe(Record):
    """What an artifact of one kind is made from: its options, and the digests of the recipes of its inputs.

    Each kind is a subclass with the `version` of the code that makes it: `safety_regions.planning.recipes`.
    """

    kind: ClassVar[str]

    @property
    def inputs(self) -> dict[str, str]:
        """The digests of the recipes of what it is made from, by role."""
        return {}

    @property
    def step(self) -> str | None:
        """The step by whose memory and time it is planned; None for what needs little, or is fetched."""
        return KINDS[self.kind].step

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON; its first 12 digits stand in the artifact's path."""
        return recipe_digest(self._values())

    def _values(self) -> dict[str, Any]:
        return {"kind": self.kind, **super()._values()}


@cache
def _special(record: type[Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The fields that are left out where they are None, and those that hold records themselves."""
    types = {field.name: get_args(field.type) or (field.type,) for field in fields(record)}
    records = {name for name, of in types.items() if any(isinstance(t, type) and issubclass(t, Record) for t in of)}
    return tuple(field.name for field in fields(record) if field.default is None), frozenset(records)


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(of) for key, of in value.items()}
        case list() | tuple():
            return [_plain(of) for of in value]
    return value
