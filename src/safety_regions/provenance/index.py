"""What receipts below `results/` tell, without the bytes: which artifacts are known, and from which others each was
made.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import DIGITS, POINTER, RESULTS
from safety_regions.artifacts.code_history import changed_code
from safety_regions.artifacts.receipts import RECEIPT, Receipt
from safety_regions.errors import UserError

DIGEST = re.compile(r"[0-9a-f]{64}")
CONTENT = {"sha256", "style"}
"""Last words of the roles whose 64 digits are the sha256 of a file's bytes, not the digest of a recipe."""


@dataclass(frozen=True)
class Known:
    """An artifact of which there is a receipt; its bytes may be elsewhere."""

    path: str
    receipt: Receipt
    rebuilt: bool = False
    """True if there is no receipt: its recipe was put together from another's, and has the digest that one names."""

    @classmethod
    def at(cls, path: Path | str) -> "Known":
        """The artifact at a path. Raises `UserError` if there is no receipt of it, or one that is none."""
        return cls(str(path), receipts.read(path))

    @property
    def digest(self) -> str:
        """sha256 of the recipe."""
        return self.receipt.digest

    @property
    def kind(self) -> str:
        """What it is: region, overlap, ..."""
        return str(self.receipt.recipe.get("kind", "unknown"))

    @property
    def name(self) -> str:
        """The file or folder without digest and ending."""
        return Path(self.path).name.split(f".{self.digest[:DIGITS]}")[0]

    @property
    def here(self) -> bool:
        """Whether all its files are in place, by the look of it."""
        return 0 < len(self.receipt.files) == self.n_here

    @property
    def n_here(self) -> int:
        """How many of its files are."""
        return sum(path.is_file() for path in receipts.paths_of(self.path, self.receipt).values())

    @property
    def published(self) -> bool:
        """Whether DVC has its bytes."""
        return Path(self.path + POINTER).exists()

    @cached_property
    def versions(self) -> dict[str, str]:
        """The packages that decided its bytes."""
        return _json(receipts.receipt_path(self.path)).get("versions", {})

    @cached_property
    def run(self) -> dict:
        """Facts of the run that made it; empty if they are not here."""
        return _json(receipts.run_path(self.path))

    @cached_property
    def changed(self) -> list[str]:
        """Modules whose code is not what it was when the artifact was made."""
        return list(changed_code(self.receipt.recipe, self.receipt.code))


@dataclass
class Index:
    """All known artifacts, by the digest of the recipe and by path."""

    by_digest: dict[str, Known] = field(default_factory=dict)
    by_path: dict[str, Known] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    """What is wrong with receipts that are none."""

    def add(self, known: Known) -> None:
        """Note an artifact; of two with one recipe the one whose bytes are here counts."""
        self.by_path[known.path] = known
        there = self.by_digest.get(known.digest)
        if there is None or (known.here and not there.here):
            self.by_digest[known.digest] = known


def scan(root: Path | str = RESULTS) -> Index:
    """Every receipt below a folder. Receipts that cannot be read are noted, not raised."""
    index = Index()
    for path in sorted(Path(root).rglob(f"*{RECEIPT}")):
        artifact = str(path).removesuffix(RECEIPT)
        try:
            index.add(Known.at(artifact))
        except UserError as error:
            index.unreadable.append(f"{error.found} ({path})")
    return index


def made_from(recipe: dict) -> list[tuple[str, str]]:
    """The role and digest of every artifact that a recipe names.

    A role is the way to it in the recipe: `regions/snip/jbb`.
    """
    return [(role, digest) for role, digest in _digests(recipe, ()) if role.rpartition("/")[2] not in CONTENT]


def _digests(value: Any, role: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _digests(below, (*role, key))
    elif isinstance(value, list):
        for place, below in enumerate(value):
            if _is_named(below):
                yield "/".join((*role, below[0])), below[1]
            else:
                yield from _digests(below, (*role, str(place)))
    elif is_digest(value):
        yield "/".join(role), value


def _is_named(value: Any) -> bool:
    """`[name, digest]`, as recipes list sets whose order counts."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and is_digest(value[1])


def is_digest(value: Any) -> bool:
    """Whether a value has the form of a sha256."""
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def _json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
