"""Published figures: `figures/<run>/` holds a run's report at a path that stays when its digest changes."""

import shutil
import sys
from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import FIGURES
from safety_regions.artifacts.receipts import receipt_path
from safety_regions.errors import UserError
from safety_regions.files import atomic_path, sha256_of_file
from safety_regions.planning.plan import Plan


def export_report(plan: Plan) -> list[Path]:
    """Copy the run's report to `figures/<run>/` and its receipt beside it, and return these files; none if it is not in
    place, or if the run makes none.

    What the report copied before had and this one has not is removed; other files there are left alone, and named on
    stderr. Raises `UserError` if the report does
    not agree with its receipt, or if a file to be replaced was changed by hand.
    """
    report = plan.report
    if report is None or not report.exists():
        return []
    folder, source = FIGURES / plan.run.name, Path(report.path)
    wanted = receipts.check(source, report.digest).files
    found, known = _found(folder), _exported_before(folder)
    _refuse_edited(folder, found, wanted, known)
    for name in wanted:
        _put(source / name, folder / name)
    _remove_stale(folder, found, wanted, known)
    # Last: as long as the old one is there, so is the record of what was copied before.
    _put(receipt_path(source), receipt_path(folder))
    return [*(folder / name for name in sorted(wanted)), receipt_path(folder)]


def _found(folder: Path) -> dict[str, str]:
    """sha256 of what lies in a folder, by name relative to it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".tmp"))
    return {str(path.relative_to(folder)): sha256_of_file(path) for path in files}


def _exported_before(folder: Path) -> dict[str, str]:
    """sha256 of the files of the report that was copied before, by name."""
    if not receipt_path(folder).exists():
        return {}
    try:
        return receipts.read(folder).files
    except UserError as error:
        raise UserError(
            error.found, where=error.where, hint=f"delete {folder} and its receipt and call this again: both are copies"
        ) from None


def _refuse_edited(folder: Path, found: dict[str, str], wanted: dict[str, str], known: dict[str, str]) -> None:
    for name, sha256 in found.items():
        if name in wanted and sha256 not in (wanted[name], known.get(name)):
            raise UserError(
                "changed by hand since it was copied from a report",
                where=str(folder / name),
                expected="a copy of the report's file",
                hint="move it away or delete it, and call this again",
            )


def _put(source: Path, target: Path) -> None:
    if target.exists() and sha256_of_file(target) == sha256_of_file(source):
        return
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _remove_stale(folder: Path, found: dict[str, str], wanted: dict[str, str], known: dict[str, str]) -> None:
    """Remove unchanged files of the report copied before; name all others that are not of this one."""
    foreign = []
    for name, sha256 in found.items():
        if name in wanted:
            continue
        if known.get(name) == sha256:
            (folder / name).unlink()
        else:
            foreign.append(name)
    if foreign:
        print(f"{folder}: left alone, since not of a report: {', '.join(foreign)}", file=sys.stderr)
