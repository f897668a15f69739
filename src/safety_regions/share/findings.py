"""What is true of artifacts: receipt, pointer and bytes compared, and what to do about it."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import DIGITS, POINTER
from safety_regions.artifacts.kinds import is_stored, is_table
from safety_regions.artifacts.receipts import RECEIPT, RUN, Receipt
from safety_regions.errors import UserError
from safety_regions.share.content import Content, contents
from safety_regions.share.pointers import Pointer, read_pointer
from safety_regions.text import first, table

OK = "ok"
NOT_PULLED = "not pulled"
"""Receipt and pointer, no bytes: published, and not here."""
AT_SOURCE = "at its source"
"""A receipt of what is taken from where it is pinned whenever it is needed, and not here."""
MISSING = "missing"
"""A receipt or pointer alone, and nothing to get the bytes from."""
FOREIGN = "foreign"
"""Bytes without a receipt of theirs."""
ALTERED = "altered"
"""Other bytes than the receipt says."""
DISAGREES = "pointer disagrees"
"""The bytes of the receipt, but other ones were published; or a pointer that is none."""
NOT_IN_REMOTE = "not in the remote"
"""A pointer whose bytes the remote does not have."""
GOOD = {OK, NOT_PULLED, AT_SOURCE}

KEYED = re.compile(rf"\.([0-9a-f]{{{DIGITS}}})(?:\.[A-Za-z0-9]+)?$")


@dataclass(frozen=True)
class Finding:
    """One artifact and its state."""

    path: str
    state: str
    detail: str = ""
    receipt: Receipt | None = None
    pointer: Pointer | None = None
    content: Content | None = None
    """None if nothing is on disk, or if it was not looked at."""

    @property
    def kind(self) -> str:
        """Of the receipt, or the folder below `results/` it lies in."""
        parts = Path(self.path).parts
        return str(self.receipt.recipe.get("kind")) if self.receipt else parts[1] if len(parts) > 2 else "unknown"

    @property
    def row(self) -> list[str]:
        """Path, what is wrong, what to do."""
        return [self.path, f"{self.state}: {self.detail}" if self.detail else self.state, remedy(self)]


def inspect(artifacts: Iterable[str]) -> list[Finding]:
    """Compare artifacts with their receipts and pointers; every byte that is on disk is read."""
    begun = [_read(path) for path in artifacts]
    found = contents(finding.path for finding in begun if finding.state == OK)
    return [_judged(finding, found.get(finding.path)) if finding.state == OK else finding for finding in begun]


def artifacts_below(root: Path) -> list[str]:
    """The path of everything below a folder of which there are bytes, a receipt or a pointer; jobs' manifests aside."""
    found: set[str] = set()
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        if here == root and "manifests" in folders:
            folders.remove("manifests")
        made = [name for name in folders if KEYED.search(name)]
        folders[:] = [name for name in folders if name not in made]
        ours = [name for name in files if not name.startswith(".") and not name.endswith((".tmp", RUN))]
        names = [*made, *(name.removesuffix(RECEIPT).removesuffix(POINTER) for name in ours)]
        found |= {str(here / name) for name in names}
    return sorted(found)


def _read(path: str) -> Finding:
    """The receipt and the pointer alone: `OK` as far as they tell."""
    key = KEYED.search(path)
    try:
        pointer = read_pointer(path + POINTER) if os.path.lexists(path + POINTER) else None
        receipt = receipts.read(path)
    except UserError as error:
        return _unread(path, error)
    if key is None or receipt.digest[:DIGITS] != key[1]:
        return Finding(path, FOREIGN, f"its receipt is of recipe {receipt.digest[:DIGITS]}", receipt, pointer)
    return Finding(path, OK, "", receipt, pointer)


def _unread(path: str, error: UserError) -> Finding:
    if error.where.endswith(POINTER):
        return Finding(path, DISAGREES, error.found)
    if Path(path).exists() or receipts.receipt_path(path).exists():
        return Finding(path, FOREIGN, error.found)
    return Finding(path, MISSING, "a pointer without a receipt")


def _judged(finding: Finding, content: Content | None) -> Finding:
    path, receipt, pointer = finding.path, finding.receipt, finding.pointer
    assert receipt is not None
    state, detail = OK, ""
    if content is None:
        state = NOT_PULLED if pointer else AT_SOURCE if _is_pinned(receipt) else MISSING
    elif fault := _fault(receipt, content):
        state, detail = ALTERED, fault
    elif pointer and (pointer.md5, pointer.size) != (content.md5, content.size):
        state, detail = DISAGREES, "computed again with other bytes than those published"
    return Finding(path, state, detail, receipt, pointer, content)


def _is_pinned(receipt: Receipt) -> bool:
    return receipt.recipe.get("kind") == "model" and not is_stored(receipt.recipe)


def _fault(receipt: Receipt, content: Content) -> str:
    """The first file that is not as the receipt says."""
    for name in sorted(receipt.files.keys() | content.files.keys()):
        if name not in content.files:
            return f"{name} is missing"
        if name not in receipt.files:
            return f"{name} is not in its receipt"
        if content.files[name].sha256 != receipt.files[name]:
            return f"{name} has another sha256"
    return ""


def remedy(finding: Finding) -> str:
    """The commands that mend a state; none for one that is good."""
    path, bring = finding.path, f"safety-regions pull {finding.path}"
    if finding.state == ALTERED and finding.pointer:
        return f"rm -r {path}; {bring}"
    if finding.state in (ALTERED, MISSING) and is_table(finding.kind):
        return f"git checkout -- {path} {path}{RECEIPT}; or rm -r {path} {path}{RECEIPT}; snakemake"
    if finding.state == DISAGREES and finding.pointer:
        return f"rm -r {path}; git checkout -- {path}{RECEIPT}; {bring}"
    if finding.state == DISAGREES:
        return f"git checkout -- {path}{POINTER}"
    if finding.state == MISSING and finding.receipt is None:
        return f"git checkout -- {path}{RECEIPT}"
    if finding.state == FOREIGN and finding.pointer:
        return f"git checkout -- {path}{RECEIPT}; or rm -r {path}; git checkout -- {path}{RECEIPT}; {bring}"
    return {
        ALTERED: f"rm -r {path} {path}{RECEIPT}; snakemake",
        MISSING: f"let who made it publish it; or rm {path}{RECEIPT}; snakemake",
        FOREIGN: f"git checkout -- {path}{RECEIPT}; or rm -r {path} {path}{RECEIPT}; snakemake",
        NOT_IN_REMOTE: "safety-regions publish, where its bytes are",
    }.get(finding.state, "")


def refusal(what: str, bad: Sequence[Finding]) -> UserError:
    """The error that lists artifacts that are not as they should be."""
    rows = first([finding.row for finding in bad], "safety-regions verify")
    return UserError(f"{len(bad)} artifacts {what}:\n{table(['artifact', 'found', 'what to do'], rows)}")
