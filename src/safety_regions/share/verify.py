"""Verify everything below `results/`, whatever run it is of."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safety_regions.artifacts.artifact import POINTER, RESULTS
from safety_regions.artifacts.code_history import changed_code
from safety_regions.artifacts.kinds import is_table
from safety_regions.artifacts.receipts import RECEIPT, RUN
from safety_regions.errors import UserError
from safety_regions.share import git
from safety_regions.share.findings import GOOD, NOT_IN_REMOTE, Finding, artifacts_below, inspect, remedy
from safety_regions.share.storage import look


@dataclass(frozen=True)
class Verified:
    """An artifact, and what is known of it."""

    finding: Finding
    published: bool
    """Whether git's index has the pointer to its bytes, or, of a table, the receipt beside them."""
    changed: list[str]
    """Modules whose code is not what it was when the artifact was made: a warning."""

    @property
    def is_bad(self) -> bool:
        """Whether somebody has to do something."""
        return self.finding.state not in GOOD

    def as_json(self) -> dict:
        """For machines."""
        finding = self.finding
        return {
            "path": finding.path,
            "kind": finding.kind,
            "state": finding.state,
            "detail": finding.detail,
            "published": self.published,
            "changed_code": self.changed,
            "remedy": remedy(finding),
        }


def verify(root: Path = Path(RESULTS), remote: bool = False, only: Sequence[str] = ()) -> list[Verified]:
    """Compare every artifact with its receipt and its pointer; every byte is read.

    `remote`: ask DVC's default remote too whether it has what the pointers say. `only`: paths of artifacts, of files in
    or beside them, or of folders above them; none: all below `root`. Raises `UserError` if the remote cannot be asked,
    and for a path at which there is no artifact.
    """
    below = artifacts_below(root)
    findings = inspect(sorted({path for name in only for path in _named(name, below)}) if only else below)
    known = git.tracked(str(root))
    if remote:
        findings = _in_remote(findings)
    return [Verified(finding, _is_published(finding, known), _changed(finding)) for finding in findings]


def _named(name: str, below: list[str]) -> list[str]:
    """Artifacts that a path means."""
    path = Path(os.path.relpath(name.removesuffix(RECEIPT).removesuffix(RUN).removesuffix(POINTER)))
    found = [each for each in below if Path(each).is_relative_to(path) or path.is_relative_to(each)]
    if not found:
        raise UserError(
            "no artifact",
            where=name,
            expected=f"the path of one below {RESULTS}/, or of a folder of some",
            hint="safety-regions verify, with no path, looks at all of them",
        )
    return found


def _is_published(finding: Finding, known: set[str]) -> bool:
    return finding.path + (RECEIPT if is_table(finding.kind) else POINTER) in known


def _changed(finding: Finding) -> list[str]:
    return list(changed_code(finding.receipt.recipe, finding.receipt.code)) if finding.receipt else []


def _in_remote(findings: list[Finding]) -> list[Finding]:
    digests = {finding.path: finding.pointer.md5 for finding in findings if finding.pointer}
    storage = look(digests.values())
    lacking = {path for path, digest in digests.items() if storage.lacks(digest)}
    return [replace(f, state=NOT_IN_REMOTE) if f.path in lacking and f.state in GOOD else f for f in findings]
