"""Prune: what lies below `results/` and no run's configuration refers to any more."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from safety_regions.artifacts.artifact import DIGITS, POINTER, RESULTS
from safety_regions.artifacts.receipts import RECEIPT, RUN
from safety_regions.errors import UserError
from safety_regions.planning.from_files import plan_of_files
from safety_regions.planning.plan import Plan
from safety_regions.share import git
from safety_regions.share.content import files_of, remove, size_on_disk
from safety_regions.share.findings import KEYED, Finding, artifacts_below, inspect
from safety_regions.share.storage import look

CONFIGS = Path("config")
KEY = re.compile(rf"\.([0-9a-f]{{{DIGITS}}})(?=[./]|$)")


@dataclass(frozen=True)
class Leftover:
    """An artifact that no plan has."""

    path: str
    size: int
    """Bytes on disk."""
    published: bool
    """Whether all of it can be had again, from git's last commit and, bytes that DVC has, from the remote."""


def run_configs(folder: Path = CONFIGS) -> list[Path]:
    """The files of a folder that are runs' configurations, and not registries of datasets or models."""
    return [file for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]) if not _is_registry(file)]


def kept_keys(configs: Sequence[Path]) -> set[str]:
    """The digits of every artifact that is in a plan of these configurations.

    Raises `UserError` if there are none, or if one has no plan.
    """
    if not configs:
        raise UserError("no run's configuration", where=str(CONFIGS), hint="name those to keep: --keep FILE ...")
    return {key for file in configs for key in _plan(file).made}


def leftovers(kept: set[str]) -> list[Leftover]:
    """What is below `results/` and has none of these keys. Whether it is published is told by git alone."""
    keys = {path: found[1] for path in artifacts_below(Path(RESULTS)) if (found := KEYED.search(path))}
    committed, letters = git.committed(RESULTS), _letters()
    intact = {file for file in committed if set(letters.get(file, "")) <= {"D", " "}}
    paths = [path for path, key in keys.items() if key not in kept]
    return [Leftover(path, size_on_disk(path), _is_committed(path, intact)) for path in paths]


def certain(found: Iterable[Leftover]) -> list[Leftover]:
    """The same, published only if that is certain: every byte here is read, and DVC's remote asked whether it has it.

    Raises `UserError` if the remote cannot be asked.
    """
    found = list(found)
    stored = [one.path for one in found if one.published and Path(one.path + POINTER).exists() and files_of(one.path)]
    digests = {finding.path: finding.pointer.md5 for finding in inspect(stored) if finding.pointer and _is_of(finding)}
    storage = look(digests.values()) if digests else None
    safe = {path for path, digest in digests.items() if storage and not storage.lacks(digest)}
    return [replace(one, published=one.published and (one.path not in stored or one.path in safe)) for one in found]


def delete(found: Iterable[Leftover]) -> None:
    """Remove artifacts with their receipts, run facts and pointers.

    Pointers go last: a call that is killed leaves what the next one can tell to be published.
    """
    for one in found:
        for path in [one.path, one.path + RUN, one.path + RECEIPT, one.path + POINTER]:
            remove(path)


def stage_removed(kept: set[str]) -> list[str]:
    """Stage files below `results/` that are gone and have none of these keys; all of them, also if an earlier call
    removed them.
    """
    gone = [path for path, letters in _letters().items() if letters[1] == "D" and not kept & set(KEY.findall(path))]
    git.stage(gone)
    return gone


def _is_registry(file: Path) -> bool:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        # For the plan to complain of.
        return False
    entries = list(content.values()) if isinstance(content, dict) else []
    return bool(entries) and all(isinstance(entry, dict) and "source" in entry for entry in entries)


def _plan(file: Path) -> Plan:
    try:
        return plan_of_files([file])
    except UserError as error:
        raise UserError(
            f"nothing is pruned: {file} has no plan, so what it refers to is unknown\n{error}",
            hint="mend it, or name the configurations to keep: --keep FILE ...",
        ) from None


def _letters() -> dict[str, str]:
    try:
        return git.changes(RESULTS)
    except UserError:
        return {}


def _is_committed(path: str, intact: set[str]) -> bool:
    """Whether git has the receipt, and the pointer or else every file."""
    if path + RECEIPT not in intact:
        return False
    files = {str(file) for file in files_of(path).values()}
    return path + POINTER in intact or (files <= intact and not os.path.lexists(path + POINTER))


def _is_of(finding: Finding) -> bool:
    """Whether the bytes here are those of receipt and pointer, or some of them: a call that was killed removed the
    others.
    """
    receipt, pointer, content = finding.receipt, finding.pointer, finding.content
    if receipt is None or pointer is None or content is None:
        return False
    whole = content.files.keys() == receipt.files.keys()
    same = all(receipt.files.get(name) == file.sha256 for name, file in content.files.items())
    return same and (content.md5 == pointer.md5 or not whole)
