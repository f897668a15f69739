"""Which region of a set is meant: its own, or one from other prompts or with other responses."""

import re
from dataclasses import dataclass
from typing import Literal

Which = Literal["own", "split", "first", "seed", "template", "borrowed"]
"""In what a region of a set differs from the set's own."""
OWN: Which = "own"
HALF: Which = "split"
"""From one half of the set's prompts."""
FIRST: Which = "first"
"""From the first of the set's prompts."""
DRAW: Which = "seed"
"""From another draw of prompts."""
RESPONSES: Which = "template"
"""With other responses to the set's prompts."""
BORROWED: Which = "borrowed"
"""With the responses of another set."""

_NUMBER = "0|[1-9][0-9]*"
_LABEL = re.compile(
    rf"own|split(?P<split>{_NUMBER})\.(?P<half>[01])|first(?P<first>[1-9][0-9]*)|seed(?P<seed>{_NUMBER})|template(?P<template>{_NUMBER})"
    rf"|borrowed(?P<borrowed>{_NUMBER})"
)


@dataclass(frozen=True)
class Variant:
    """One region of a set, written as SET/WHICH: `own`, `split0.1` the second half of its prompts, `first12` the first
    12 of them, `seed1` another draw, `template0` other responses, `borrowed0` the responses of the run's first safety
    set.
    """

    set: str
    which: Which = OWN
    number: int = 0
    """Of the split, of prompts, of the draw, the template, or the safety set that lends its responses."""
    half: int = 0
    """Of a split: 0 or 1."""

    @classmethod
    def parse(cls, name: str, label: str) -> "Variant":
        """The variant of set `name` with this label. Raises `ValueError` if there is none."""
        match = _LABEL.fullmatch(label)
        if match is None:
            raise ValueError(f"no variant {label!r} of a set")
        for which in (HALF, FIRST, DRAW, RESPONSES, BORROWED):
            if match[which]:
                return cls(name, which, int(match[which]), int(match["half"] or 0))
        return cls(name)

    @property
    def label(self) -> str:
        """How recipes and tables write which region of the set it is."""
        if self.which == OWN:
            return OWN
        return f"{self.which}{self.number}" + (f".{self.half}" if self.which == HALF else "")

    @property
    def name(self) -> str:
        """The set's name in paths, with the label where it is not the set's own region."""
        return self.set if self.is_own else f"{self.set}-{self.label.replace('.', '-')}"

    @property
    def is_own(self) -> bool:
        """Whether it is the set's own region."""
        return self.which == OWN

    @property
    def own(self) -> "Variant":
        """The set's own region."""
        return Variant(self.set)

    @property
    def drawn_from(self) -> "Variant":
        """Whose prompts it is identified from: those of another draw are its own, all others are the set's."""
        return self if self.which == DRAW else self.own

    def role(self, what: str) -> str:
        """The role of its region, or of its prompts, among the inputs."""
        return f"{what}/{self.set}/{self.label}"
