"""A model and a method together: what a table of overlaps, its figures and an evaluation are of."""

from typing import NamedTuple


class ModelMethod(NamedTuple):
    """Written MODEL.METHOD in paths, roles and tables; neither name has a dot."""

    model: str
    method: str

    @classmethod
    def parse(cls, name: str) -> "ModelMethod":
        """The two names of MODEL.METHOD. Raises `ValueError` for another text."""
        model, method = name.split(".")
        return cls(model, method)

    @property
    def name(self) -> str:
        """MODEL.METHOD."""
        return f"{self.model}.{self.method}"


class PartRole(NamedTuple):
    """The role of a part of a report: KIND/MODEL.METHOD, KIND/MODEL, or KIND alone for what all models share.

    Where there are several of one kind, /WHICH stands behind.
    """

    kind: str
    model: str = ""
    method: str = ""
    which: str = ""

    @classmethod
    def parse(cls, role: str) -> "PartRole":
        """The names in a role; what it does not name is empty."""
        kind, name, which = [*role.split("/"), "", ""][:3]
        model, _, method = name.partition(".")
        return cls(kind, model, method, which)

    @property
    def name(self) -> str:
        """The model and method."""
        return ".".join(name for name in (self.model, self.method) if name)

    @property
    def of(self) -> ModelMethod:
        """Of which model and method the part is."""
        return ModelMethod(self.model, self.method)

    def __str__(self) -> str:
        return "/".join(name for name in (self.kind, self.name, self.which) if name)
