"""The base of every configuration model: unknown keys are mistakes, values do not change after validation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Section(BaseModel):
    """A mapping of the configuration whose keys are all known and whose docstrings become YAML comments."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


SILENT: Any = Field(default=None, exclude_if=lambda value: value is None)
"""Default of a section that came later and is off: a run without it says nothing of it, so that recipes which hold the
configuration stay as they were."""
ID = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
Id = Annotated[str, StringConstraints(pattern=ID)]
"""A name that becomes part of a path: letters, digits, `_` and `-`."""


@dataclass(frozen=True)
class _NamesSet:
    """Marks the type of an id that the dataset registry must have."""


SetId = Annotated[Id, _NamesSet()]
"""The id of a dataset: an option of this type, or a list of it, is checked against the registry."""

CommitSha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
"""A full git commit: 40 hexadecimal digits. Branches and tags move, so they are refused."""

Title = Annotated[str, StringConstraints(pattern=r"^\S(.*\S)?$", max_length=40)]
"""A name for people to read: one line of at most 40 characters."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

HubId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
"""`organisation/name` on the Hub."""

RepoFolder = Annotated[str, StringConstraints(pattern=r"^\w[\w. -]*(/\w[\w. -]*)*$")]
"""A folder inside a repository; no name begins with a dot, so none leads out of it, and none is a pattern of
several."""


def named_sets(section: Section, key: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every dataset that a section or one inside it names by a `SetId`, in their order, with the key that names it."""
    for name, field in type(section).model_fields.items():
        value, path = getattr(section, name), (*key, name)
        if isinstance(value, Section):
            yield from named_sets(value, path)
        elif value is None or not _marked(field.annotation, *field.metadata):
            continue
        elif isinstance(value, str):
            yield path, value
        else:
            yield from (((*path, index), id) for index, id in enumerate(value))


def _marked(*types: Any) -> bool:
    """Whether `SetId` is among the types or inside of one."""
    return any(isinstance(of, _NamesSet) or _marked(*get_args(of)) for of in types)
