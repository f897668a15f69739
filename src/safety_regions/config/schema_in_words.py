"""What the schema allows at a key, in plain words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from safety_regions.config.base import CommitSha, HubId, Id, RepoFolder, Sha256
from safety_regions.config.mistakes import KeyPath

Number = int | float
Schema = dict[str, Any]
"""JSON schema as pydantic writes it."""


def _pattern(annotated: Any) -> str:
    return annotated.__metadata__[0].pattern


IN_WORDS = {
    _pattern(Id): "a name of 1 to 64 letters, digits, _ and - that starts with a letter or digit",
    _pattern(CommitSha): "a full commit: 40 digits 0-9 a-f (branches and tags move)",
    _pattern(Sha256): "a sha256: 64 digits 0-9 a-f",
    _pattern(HubId): "organisation/name",
    _pattern(RepoFolder): "a folder inside the repository: names of letters, digits, _, -, dots and spaces,"
    " joined by / and none beginning with a dot",
}
PLAIN = {"string": "text", "boolean": "true or false", "null": "null", "object": "a mapping"}


@dataclass(frozen=True)
class Spot:
    """Where a location of pydantic's leads: the key in the file, and the schema of what belongs there."""

    path: KeyPath
    schema: Schema
    parent: Schema
    """Schema of the mapping or list that holds the key."""
    is_key: bool = False
    """Whether the key itself is meant, not its value."""


class Allowed:
    """Answers about one schema."""

    def __init__(self, schema: Schema):
        self.schema = schema

    def follow(self, location: tuple[str | int, ...]) -> Spot:
        """The spot a validation error points to; steps that name a branch of a union are no keys and are left out."""
        path: KeyPath = ()
        schema, parent = self.schema, self.schema
        for step in location:
            inner = self._without_null(schema)
            if step == "[key]":
                return Spot(path, schema, parent, is_key=True)
            if "discriminator" in inner and step in inner["discriminator"]["mapping"]:
                schema = {"$ref": inner["discriminator"]["mapping"][step]}
                continue
            if "anyOf" in inner:
                break
            parent, schema, path = inner, self.below(inner, step), (*path, step)
        return Spot(path, schema, parent)

    def describe(self, schema: Schema) -> str:
        """What may stand where this schema applies: `a number in (0, 1]`, `one of: a, b`, `a mapping`."""
        schema = self._resolve(schema)
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self.describe(option) for option in schema["anyOf"]))
        if "discriminator" in schema:
            kinds = ", ".join(schema["discriminator"]["mapping"])
            return f"a mapping with `{schema['discriminator']['propertyName']}`, one of: {kinds}"
        if choices := self.choices(schema):
            return f"one of: {', '.join(choices)}" if len(choices) > 1 else choices[0]
        match schema.get("type"):
            case "number" | "integer":
                return _number(schema)
            case "array":
                return self._list(schema)
            case "string":
                return _text(schema)
            case kind:
                return PLAIN.get(str(kind), "anything")

    def choices(self, schema: Schema) -> list[str]:
        """The words a key may hold, if the schema lists them."""
        schema = self._without_null(schema)
        return [str(word) for word in schema.get("enum", [schema["const"]] if "const" in schema else [])]

    def choices_of_kind(self, schema: Schema) -> list[str]:
        """The values of the key that tells the branches of a union apart."""
        return list(self._without_null(schema).get("discriminator", {}).get("mapping", ()))

    def is_fraction(self, schema: Schema) -> bool:
        """Whether a number of at most 1 belongs here."""
        return self._without_null(schema).get("maximum") == 1

    def keys(self, schema: Schema) -> list[str]:
        """The known keys of a mapping."""
        return list(self._without_null(schema).get("properties", {}))

    def takes(self, schema: Schema, kind: str) -> bool:
        """Whether a value of a JSON type (`string`, `null`, `number`, ...) may stand here."""
        schema = self._resolve(schema)
        return schema.get("type") == kind or any(self.takes(option, kind) for option in schema.get("anyOf", ()))

    def paths(self, schema: Schema | None = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """Every known key path below a mapping, those of every branch of a union included."""
        schema = self._without_null(self.schema if schema is None else schema)
        for branch in schema.get("oneOf", ()):
            yield from self.paths(branch, path)
        for key, below in schema.get("properties", {}).items():
            yield (*path, key)
            yield from self.paths(below, (*path, key))

    def entry(self) -> Schema:
        """Schema of one entry of a registry: a mapping with free keys."""
        return self.below(self.schema, "")

    def below(self, schema: Schema, step: str | int) -> Schema:
        """Schema of what lies under a key or index; empty where the schema knows nothing of it."""
        schema = self._without_null(schema)
        if step in schema.get("properties", {}):
            return schema["properties"][step]
        for name in ("items", "additionalProperties"):
            if isinstance(schema.get(name), dict):
                return schema[name]
        return next(iter(schema.get("patternProperties", {}).values()), {})

    def _resolve(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self.schema["$defs"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _without_null(self, schema: Schema) -> Schema:
        schema = self._resolve(schema)
        options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
        return self._resolve(options[0]) if len(options) == 1 else schema

    def _list(self, schema: Schema) -> str:
        fewest, most = schema.get("minItems", 0), schema.get("maxItems")
        size = f"{fewest} to {most} items" if most else f"at least {fewest} item{'s' * (fewest > 1)}" if fewest else ""
        items = self.describe(schema.get("items", {}))
        return f"a list of {size + ', each ' if size else ''}{items}"


def _number(schema: Schema) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    words = "a whole number" if schema["type"] == "integer" else "a number"
    if (low is not None or above is not None) and (high is not None or below is not None):
        words += f" in {_open(above, low)}, {_close(below, high)}"
    elif above is not None:
        words += f" above {_digits(above)}"
    elif low is not None:
        words += f", {_digits(low)} or more"
    return words + (f", divisible by {schema['multipleOf']}" if "multipleOf" in schema else "")


def _open(above: Number | None, low: Number | None) -> str:
    return f"({_digits(above)}" if above is not None else f"[{_digits(low)}"


def _close(below: Number | None, high: Number | None) -> str:
    return f"{_digits(below)})" if below is not None else f"{_digits(high)}]"


def _digits(number: Number | None) -> str:
    return f"{number:g}"


def _text(schema: Schema) -> str:
    if schema.get("format") == "uri":
        return "an address that starts with http:// or https://"
    pattern = schema.get("pattern")
    return IN_WORDS.get(pattern, f"text of the form {pattern}") if pattern else "text"
