"""Whether what is in place is what was published, or was made again since with other bytes."""

from collections.abc import Iterable
from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import POINTER
from safety_regions.errors import UserError
from safety_regions.files import load_json
from safety_regions.share import git
from safety_regions.share.findings import OK, inspect


def replaced(artifacts: Iterable[str]) -> dict[str, bool | None]:
    """By path: whether an artifact in place has other bytes than were published; None of what never was.

    What was published is known by the pointer, and where there is none by the receipt in git's last commit. Every byte
    of those with a pointer is read.
    """
    paths = list(dict.fromkeys(artifacts))
    by_pointer = {finding.path: finding.state != OK for finding in inspect(p for p in paths if _has_pointer(p))}
    return {path: by_pointer[path] if path in by_pointer else _by_receipt(path) for path in paths}


def _has_pointer(path: str) -> bool:
    return Path(path + POINTER).exists()


def _by_receipt(path: str) -> bool | None:
    try:
        committed = load_json(git.committed_text(str(receipts.receipt_path(path))))["files"]
        return committed != receipts.read(path).files
    except (UserError, ValueError, KeyError, TypeError):
        return None
