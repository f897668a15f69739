"""`safety-regions recompute`: one artifact made again, and compared."""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import RESULTS
from safety_regions.errors import UserError
from safety_regions.planning.from_files import add_config_options, plan_of
from safety_regions.provenance.differences import differences
from safety_regions.provenance.index import Known
from safety_regions.provenance.recompute import Again, find, recompute_all
from safety_regions.share.replaced import replaced

SHORT = 16


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("name", metavar="PATH_OR_PREFIX", help="the artifact's path, or the first digits of its digest")
    add_config_options(parser)
    parser.add_argument(
        "--measure", action="store_true", help="for a region that follows from a kept statistic: measure that again too"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="keep what is made in this new folder; without it nothing is kept"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make it again and say what came out; 1 if it is not the same."""
    plan = plan_of(arguments)
    artifact = find(plan, arguments.name)
    with ExitStack() as stack:
        folder = arguments.output or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recompute-")))
        if arguments.output:
            _refuse_used(folder)
        made = recompute_all(plan, artifact, folder, arguments.measure)
        for again in made:
            print("\n".join(_lines(again)))
    return 1 if any(again.different for again in made) else 0


def _refuse_used(folder: Path) -> None:
    if folder.exists():
        raise UserError("this exists", where=f"--output {folder}", expected="a folder that does not")
    if folder.resolve().is_relative_to(Path(RESULTS).resolve()):
        raise UserError("a folder of artifacts", where=f"--output {folder}", expected="a folder outside results/")


def _lines(again: Again) -> list[str]:
    lines = [again.artifact.path, f"  made again in {again.seconds:.1f} s"]
    for name in sorted({*again.published, *again.made}):
        old, new = (files.get(name, "no such file")[:SHORT] for files in (again.published, again.made))
        lines.append(
            f"  {name}: sha256 {old} " + ("again: identical" if old == new else f"published, {new} now: DIFFERENT")
        )
    return lines + _apart(again) + _why(again) if again.different else lines


def _apart(again: Again) -> list[str]:
    """How many elements differ, for a region whose published bytes are here."""
    if again.artifact.kind != "region":
        return []
    if not again.artifact.exists():
        return [
            "  how many elements differ cannot be said: the published bytes are not here"
            f" (safety-regions pull {again.artifact.path})"
        ]
    try:
        rows = differences(again.artifact.path, again.path)
    except UserError as error:
        return [f"  how many elements differ cannot be said: {error.found} ({error.where})"]
    return [
        f"  fraction {row.fraction:g}: {row.only_one} elements are in one of the two only, IoU {row.iou:.6f}"
        for row in rows
    ]


def _why(again: Again) -> list[str]:
    """What was not the same in the making."""
    old, new = Known.at(again.artifact.path), Known.at(again.path)
    lines = [
        f"  made with {package} {version} then, {new.versions.get(package, 'none')} now"
        for package, version in old.versions.items()
        if new.versions.get(package) != version
    ]
    lines += [f"  {module} has changed since" for module in old.changed]
    for fact in ("host", "processor", "instructions", "gpu"):
        # Records of before a fact was noted have none to compare.
        if fact in old.run and old.run[fact] != new.run.get(fact):
            lines.append(f"  {fact}: {old.run[fact]} then, {new.run.get(fact)} now")
    lines = lines or ["  packages, code and machine are the same by what receipts and run facts say"]
    return lines + (_inputs(again) or ["  its inputs are those published, by their pointers and receipts"])


def _inputs(again: Again) -> list[str]:
    """Those inputs that are not the published ones, or of which nobody can tell."""
    lines, sources = [], again.artifact.inputs
    in_place = {role: path for role, path in again.inputs.items() if path == sources[role].path}
    found = replaced(in_place.values())
    for role, path in again.inputs.items():
        if role not in in_place:
            other = receipts.read(path).files != receipts.read(sources[role].path).files
            lines += [f"  input {role}: the one made again above, with other bytes than those published"] * other
        elif found[path]:
            lines.append(
                f"  input {role}: other bytes in place than those published: safety-regions verify {path} says more"
            )
    unknown = [path for path in dict.fromkeys(in_place.values()) if found[path] is None]
    if unknown:
        others = f" and {len(unknown) - 1} others" if len(unknown) > 1 else ""
        lines.append(f"  whether it was made from the input that is here, nothing says of {unknown[0]}{others}")
    return lines
