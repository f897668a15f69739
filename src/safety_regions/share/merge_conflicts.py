"""Pointers and receipts that are not as committed: a merge in which two people disagree, an edit, a deletion, half a
file.
"""

from collections.abc import Iterable
from pathlib import Path

from safety_regions.artifacts.artifact import RESULTS, Artifact
from safety_regions.errors import UserError
from safety_regions.share import git
from safety_regions.share.pointers import read_pointer
from safety_regions.text import first, table

UNMERGED = {"DD", "AA"}


def refuse_disputed(artifacts: Iterable[Artifact]) -> None:
    """Raise `UserError` if a pointer of these artifacts was edited or deleted, or it or the receipt is not merged."""
    letters = git.changes(RESULTS)
    rows = []
    for artifact in artifacts:
        both = f"{artifact.pointer} {artifact.receipt}"
        pointer, receipt = letters.get(artifact.pointer, "  "), letters.get(artifact.receipt, "  ")
        if _is_unmerged(pointer) or _is_unmerged(receipt):
            rows.append(
                [
                    artifact.path,
                    "not merged",
                    f"keep one of two: git checkout --ours (or --theirs) -- {both}; git add {both}",
                ]
            )
        elif "M" in pointer or "T" in pointer:
            rows.append([artifact.path, "pointer edited", f"git checkout HEAD -- {artifact.pointer}"])
        elif pointer[1] == "D":
            rows.append([artifact.path, "pointer deleted", f"git checkout HEAD -- {artifact.pointer}"])
    if rows:
        shown = first(rows, "git status")
        raise UserError(
            f"pointers say what was published and never change:\n{table(['artifact', 'found', 'what to do'], shown)}"
        )


def remove_broken(artifacts: Iterable[Artifact], known: set[str]) -> None:
    """Remove pointers that a killed DVC left half-written: they cannot be read, and git does not know them.

    Raises `UserError` if git does.
    """
    for artifact in artifacts:
        if Path(artifact.pointer).exists():
            try:
                read_pointer(artifact.pointer)
            except UserError:
                if artifact.pointer in known or not artifact.exists():
                    raise
                Path(artifact.pointer).unlink()


def _is_unmerged(letters: str) -> bool:
    return "U" in letters or letters in UNMERGED
