"""The base of every configuration model: unknown keys are mistakes, values do not change after validation."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints


class Section(BaseModel):
    """A mapping of the configuration whose keys are all known and whose docstrings become YAML comments."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""A name that becomes part of a path: letters, digits, `_` and `-`."""

CommitSha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
"""A full git commit: 40 hexadecimal digits. Branches and tags move, so they are refused."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

HubId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
"""`organisation/name` on the Hub."""

RepoFolder = Annotated[str, StringConstraints(pattern=r"^\w[\w. -]*(/\w[\w. -]*)*$")]
"""A folder inside a repository; no name begins with a dot, so none leads out of it, and none is a pattern of
several."""
