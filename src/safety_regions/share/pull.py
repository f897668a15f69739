"""Pull what others published: bytes from DVC's remote, each checked against its receipt."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safety_regions.artifacts.artifact import POINTER, Artifact
from safety_regions.artifacts.receipts import paths_of, read
from safety_regions.errors import UserError
from safety_regions.planning.plan import Plan
from safety_regions.share import git
from safety_regions.share.content import digests_of, remove
from safety_regions.share.dvc import dvc_complaint, forget_index
from safety_regions.share.findings import DISAGREES, NOT_PULLED, OK, Finding, inspect, refusal
from safety_regions.share.pointers import read_pointer
from safety_regions.share.storage import LIST, Storage, look, place


@dataclass(frozen=True)
class Pulled:
    """What a call brought."""

    findings: list[Finding]
    mended: list[str]
    """Artifacts of which the cache here had damaged bytes, fetched anew."""


def needed(plan: Plan, everything: bool = False) -> list[str]:
    """What is published of a plan and not here, or not whole: as much as the run needs, or all."""
    published = [artifact for artifact in plan.made.values() if Path(artifact.pointer).exists()]
    wanted = [a for a in published if not a.exists()] if everything else asking_for_published(plan).to_pull
    # A pull that was killed leaves folders with some of their files.
    return sorted({artifact.path for artifact in [*wanted, *filter(_is_in_part, published)]})


def asking_for_published(plan: Plan) -> Plan:
    """The same plan as files are now, of a run that computes nothing again."""
    machine = plan.run.machine.model_copy(update={"recompute_published": False})
    return replace(plan, run=plan.run.model_copy(update={"machine": machine}))


def named(paths: Iterable[str]) -> list[str]:
    """The artifacts that are meant by paths of them or of their pointers.

    Raises `UserError` if one was not published.
    """
    found = [os.path.normpath(path).removesuffix(POINTER) for path in paths]
    for path in found:
        if not Path(path + POINTER).exists():
            raise UserError(
                "nothing published",
                where=path,
                expected=f"a pointer, {path}{POINTER}",
                hint="git pull, or look for it in results/",
            )
    return found


def pull(artifacts: Sequence[str]) -> Pulled:
    """Bring published artifacts and check them.

    Bytes that do not match because the cache here is damaged are fetched once more. Raises `UserError` that names what
    did not come, or came with other bytes than its receipt says.
    """
    findings = {finding.path: finding for finding in _bring(artifacts)}
    mended = [finding.path for finding in _drop_damaged(findings.values())]
    if mended:
        findings |= {finding.path: finding for finding in _bring(mended)}
        if again := _drop_damaged(findings.values()):
            raise _lost(again, "", None)
    if bad := [finding for finding in findings.values() if finding.state != OK]:
        raise refusal("were pulled, and are not as their receipts say", [_told(finding) for finding in bad])
    return Pulled(list(findings.values()), mended)


def _is_in_part(artifact: Artifact) -> bool:
    if not artifact.exists():
        return False
    try:
        return not all(path.is_file() for path in paths_of(artifact.path, read(artifact.path)).values())
    # Such a receipt is for `verify`.
    except UserError:
        return False


def _bring(artifacts: Sequence[str]) -> list[Finding]:
    """Have DVC pull artifacts, and read them.

    Raises `UserError` if some did not come, or if there is no remote to ask.
    """
    complaint, storage, findings = _call_dvc(artifacts)
    if any(finding.state != OK for finding in findings):
        forget_index()
        complaint, storage, findings = _call_dvc(artifacts)
    if lost := [finding for finding in findings if finding.state == NOT_PULLED]:
        raise _lost(lost, complaint, storage)
    if complaint and any(finding.state != OK for finding in findings):
        raise UserError(
            "dvc pull failed", where=complaint, hint="mend what DVC says and call this again: what is done stays done"
        )
    return findings


def _call_dvc(artifacts: Sequence[str]) -> tuple[str, Storage | None, list[Finding]]:
    """Have DVC pull artifacts: what it said if it failed, with what is in its remote then; and what is here."""
    pointers = [path + POINTER for path in artifacts]
    complaint = dvc_complaint("pull", targets=pointers)
    # Asked first: it says why if there is no remote, or none within reach.
    storage = look(read_pointer(pointer).md5 for pointer in pointers) if complaint else None
    if complaint:
        # One lost file stops DVC before it puts anything in place: what it has fetched is put there now.
        dvc_complaint("checkout", "--allow-missing", targets=pointers)
    return complaint, storage, inspect(artifacts)


def _lost(lost: Sequence[Finding], complaint: str, storage: Storage | None) -> UserError:
    """Why artifacts did not come whole: the remote lacks them, or has damaged ones, or could not be read."""
    digests = {finding.path: finding.pointer.md5 for finding in lost if finding.pointer}
    storage = storage or look(digests.values())
    absent = [path for path, digest in digests.items() if storage.lacks(digest)]
    who = ", ".join(git.authors([path + POINTER for path in digests])) or "git does not know who"
    if absent:
        found = f"the remote `{storage.remote}` lacks bytes of {len(absent)} published artifacts"
        hint = f"who published them has them ({who}): there, `safety-regions publish` pushes what is lacking"
        return UserError(found, where=_some(absent), hint=hint)
    # The list of a folder goes, too: as long as the remote has it, DVC does not push the folder's files.
    lacking = {name for digest in digests.values() for name in storage.objects(digest) if name in storage.uncached}
    objects = {*digests.values(), *lacking}
    places = sorted(place(storage.url, digest) for digest in objects)
    found = (
        f"{len(digests)} artifacts did not come whole from the remote `{storage.remote}`, which has them:"
        " damaged there, or out of reach"
    )
    where = _some(list(digests)) + (f"\n            {complaint}" if complaint else "")
    hint = (
        f"call this again; if that does not help, delete from the remote {_some(places)},"
        f" and let who published them ({who}) do so again: safety-regions publish"
    )
    return UserError(found, where=where, hint=hint)


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:10]) + (f" and {len(paths) - 10} more" if len(paths) > 10 else "")


def _drop_damaged(findings: Iterable[Finding]) -> list[Finding]:
    """Remove artifacts whose bytes are other than their pointer says, with the objects of the cache from which they
    came.

    Those stay whose objects are sound: to fetch them again would not help.
    """
    suspects = {finding.path: finding for finding in findings if _is_other(finding)}
    digests = {path: finding.pointer.md5 for path, finding in suspects.items() if finding.pointer}
    storage = look(digests.values()) if suspects else None
    dropped = [path for path, digest in digests.items() if storage and _drop_objects(storage, digest)]
    for path in dropped:
        remove(path)
    return [suspects[path] for path in dropped]


def _is_other(finding: Finding) -> bool:
    content, pointer = finding.content, finding.pointer
    return finding.state != OK and content is not None and pointer is not None and content.md5 != pointer.md5


def _drop_objects(storage: Storage, digest: str) -> bool:
    """Remove those objects from DVC's cache that are not what their names say. DVC itself trusts what is read-only."""
    cached = {
        name: Path(place(storage.cache, name)) for name in storage.objects(digest) if name not in storage.uncached
    }
    damaged = [path for name, path in cached.items() if digests_of(path).md5 != name.removesuffix(LIST)]
    for path in damaged:
        path.unlink()
    return bool(damaged)


def _told(finding: Finding) -> Finding:
    """The same finding, told of bytes that are those of the pointer."""
    if finding.pointer and finding.content and finding.content.md5 == finding.pointer.md5:
        return replace(
            finding,
            state=DISAGREES,
            detail="its receipt and its pointer are of different bytes: take both from one commit",
        )
    return finding
