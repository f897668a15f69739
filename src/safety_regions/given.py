"""Mappings that come from a command line, in which something may be missing."""

from typing import Any

from safety_regions.errors import UserError


class Given(dict):
    """A mapping, nested ones too, in which a key that is asked for and not there is a mistake of whoever wrote it, told as `UserError`.

    `what` names it in words, as in "the recipe"; `where` is where it was given.
    """

    def __init__(self, content: dict, what: str, where: str):
        self.what, self.where = what, where
        super().__init__({key: self._wrapped(value) for key, value in content.items()})

    def _wrapped(self, value: Any) -> Any:
        return Given(value, self.what, self.where) if isinstance(value, dict) else value

    def __missing__(self, key: Any) -> Any:
        there = ", ".join(map(str, self)) or "none at all"
        raise UserError(f"no {key!r} in the {self.what}", where=self.where, hint=f"its keys are: {there}; snakemake and receipts have whole ones")  # fmt: skip
