"""Publish a run: its bytes to DVC's remote; receipts, pointers, run facts, tables and the report to git's index.

Every step finds what earlier calls did and does the rest, so a call that was killed is mended by the next.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safety_regions.artifacts.artifact import FIGURES, POINTER, RESULTS, Artifact
from safety_regions.artifacts.kinds import KINDS, is_stored, is_table
from safety_regions.artifacts.receipts import run_path
from safety_regions.errors import UserError
from safety_regions.planning.plan import Plan
from safety_regions.share import git
from safety_regions.share.content import files_of
from safety_regions.share.dvc import dvc
from safety_regions.share.export_report import export_report
from safety_regions.share.findings import DISAGREES, OK, Finding, inspect, refusal
from safety_regions.share.merge_conflicts import refuse_disputed, remove_broken
from safety_regions.share.pointers import read_pointer
from safety_regions.share.storage import Storage, look, place, push


@dataclass(frozen=True)
class Published:
    """What a call found and did."""

    remote: str
    new: list[Artifact]
    """Added and pushed."""
    pushed: list[Artifact]
    """Added before, by a call that was killed for instance, and pushed now."""
    before: list[Artifact]
    """Here, and in the remote already."""
    elsewhere: list[Artifact]
    """Published, and not here."""
    tables: list[Artifact]
    """Published in git."""
    unmade: list[Artifact]
    """To be published, and not made yet."""
    figures: list[Path]
    staged: dict[str, str]
    """git's letter (A, M, D) of every staged file of results and figures, staged now or before."""


def publish(plan: Plan) -> Published:
    """Check, add, push and stage what is in place of a plan.

    Raises `UserError` before anything is done if there is no git, DVC or remote that is verified, if a pointer was
    edited or is not merged, or if an artifact is not as its receipt or its pointer says; and later if DVC fails, or the
    remote lacks bytes.
    """
    git.require_repository()
    _refuse_link()
    shared = [artifact for artifact in plan.made.values() if KINDS[artifact.kind].shared != "nowhere"]
    stored = [artifact for artifact in shared if is_stored(artifact.recipe.as_json())]
    known = git.tracked(RESULTS)
    refuse_disputed(shared)
    remove_broken(stored, known)
    here = {artifact.path: artifact for artifact in shared if artifact.exists()}
    storage = look(read_pointer(a.pointer).md5 for a in stored if a.path in here and Path(a.pointer).exists())
    _require_verified(storage)
    findings = {finding.path: finding for finding in inspect(here)}
    _refuse(list(findings.values()), known)
    in_dvc = [findings[artifact.path] for artifact in stored if artifact.path in here]
    new, pushed = _store(in_dvc, storage)
    # Last, when all else is safe.
    figures = export_report(plan)
    git.stage([*_small_files(here.values()), *map(str, figures), *_removed(plan.run.name)])
    done = {*new, *pushed}
    return Published(
        remote=storage.remote,
        new=[here[path] for path in new],
        pushed=[here[path] for path in pushed],
        before=[here[finding.path] for finding in in_dvc if finding.path not in done],
        elsewhere=[artifact for artifact in stored if artifact.is_elsewhere()],
        tables=[artifact for artifact in here.values() if is_table(artifact.kind)],
        unmade=[
            a
            for a in shared
            if (is_stored(a.recipe.as_json()) or is_table(a.kind)) and not a.exists() and not a.is_elsewhere()
        ],
        figures=figures,
        staged=git.staged(RESULTS, str(FIGURES)),
    )


def _refuse_link() -> None:
    if Path(RESULTS).is_symlink():
        raise UserError(
            "a symbolic link",
            where=RESULTS,
            expected="a folder: neither git nor DVC follows links",
            hint="keep results/ here and put DVC's cache where there is space: dvc cache dir FOLDER;"
            " dvc config cache.type symlink",
        )


def _require_verified(storage: Storage) -> None:
    if not storage.verify:
        raise UserError(
            f"the remote `{storage.remote}` is not verified: DVC would hand on damaged bytes without a word",
            where=".dvc/config",
            hint=f"dvc remote modify {storage.remote} verify true",
        )


def _refuse(findings: Sequence[Finding], known: set[str]) -> None:
    bad = [finding for finding in findings if finding.state != OK]
    unknown = [f.path for f in bad if f.state == DISAGREES and f.path + POINTER not in known]
    if unknown:
        raise UserError(
            f"{len(unknown)} artifacts were made again after a publish that did not end, with other bytes",
            where=", ".join(unknown[:5]),
            hint="their pointers were never committed: delete those (the files with .dvc behind these names)"
            " and publish again",
        )
    if bad:
        raise refusal("of this run are not as their receipts or pointers say; nothing was published", bad)


def _store(findings: Sequence[Finding], storage: Storage) -> tuple[list[str], list[str]]:
    """Bring the bytes of artifacts to the remote: paths of those added, and of those that were added before and pushed
    now.
    """
    new = [finding for finding in findings if finding.pointer is None]
    lacking = [finding for finding in findings if finding.pointer and storage.lacks(finding.pointer.md5)]
    # Also what neither remote nor cache have: it is in place and checked, so its pointer stays as it is.
    to_add = [*new, *(f for f in lacking if f.content and f.content.objects & storage.uncached)]
    if to_add:
        dvc("add", "--no-relink", targets=[finding.path for finding in to_add])
        _refuse_changed(to_add)
    if to_push := [*new, *lacking]:
        _push(to_push)
    return [finding.path for finding in new], [finding.path for finding in lacking]


def _refuse_changed(added: Sequence[Finding]) -> None:
    """What was added must be what was checked."""
    for finding in added:
        assert finding.content is not None
        if read_pointer(finding.path + POINTER).md5 != finding.content.md5:
            raise UserError(
                "changed while it was published, or DVC's memory of it is wrong",
                where=finding.path,
                hint=f"rm {finding.path}{POINTER}; run nothing else meanwhile, and publish again",
            )


def _push(findings: Sequence[Finding]) -> None:
    """Have DVC push artifacts. Raises `UserError` if the remote lacks bytes of them afterwards."""
    digests = {finding.path: finding.content.md5 for finding in findings if finding.content}
    push(digests.values())
    storage = look(digests.values())
    lacking = {path: digest for path, digest in digests.items() if storage.lacks(digest)}
    if not lacking:
        return
    # DVC takes a remote that has the list of a folder to have its files too.
    lists = [place(storage.url, digest) for digest in lacking.values() if digest not in storage.absent]
    hint = (
        f"it lost files of folders, and DVC does not see it: delete {', '.join(lists)} there, and publish again"
        if lists
        else "publish again"
    )
    raise UserError(
        f"the remote `{storage.remote}` lacks bytes of {len(lacking)} artifacts after the push",
        where=", ".join(lacking),
        hint=hint,
    )


def _small_files(here: Iterable[Artifact]) -> list[str]:
    """Receipts, run facts, pointers, and the files of tables."""
    paths = []
    for artifact in here:
        beside = [
            artifact.receipt,
            str(run_path(artifact.path)),
            *([artifact.pointer] if is_stored(artifact.recipe.as_json()) else []),
        ]
        paths += [path for path in beside if Path(path).exists()]
        paths += [str(file) for file in files_of(artifact.path).values()] if is_table(artifact.kind) else []
    return paths


def _removed(run: str) -> list[str]:
    """Files of the report exported before that the present one does not have."""
    return [path for path in git.tracked(str(FIGURES / run)) if not Path(path).exists()]
