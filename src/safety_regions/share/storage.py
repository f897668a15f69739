"""Which bytes DVC's default remote and cache have, and bytes brought from the one to the other.

DVC's commands trust that a remote which has the list of a folder has its files too; here each object is asked for. And
its `push` reads each pointer again, several times, which takes longer than all else; here objects are pushed by their
names. Both run in a process of their own, under DVC's lock: `python -m safety_regions.share.storage`, one object a
line.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safety_regions.errors import UserError

LOOK, PUSH = "look", "push"
LIST = ".dir"
"""Ends the names of lists of a folder's files."""
NO_PROJECT = "restore .dvc/config from git, or: dvc init"
NO_REMOTE = "dvc remote add -d NAME URL; dvc remote modify NAME verify true (docs/sharing.md)"
BUSY = "wait for it to end and call this again; one DVC process at a time can work in a folder"
OUT_OF_REACH = "look at the remote's URL and credentials: dvc remote list; docs/sharing.md"
HINTS = {"NotDvcRepoError": NO_PROJECT, "NoRemoteError": NO_REMOTE, "LockError": BUSY}


@dataclass(frozen=True)
class Storage:
    """DVC's default remote and cache, as they were when asked."""

    remote: str
    """Its name."""
    url: str
    """Where its objects lie: object `abcd...` in `ab/cd...` below it."""
    verify: bool
    """Whether DVC checks what it takes from the remote."""
    cache: str
    """The folder of the cache, laid out as the remote."""
    lists: dict[str, list[str]]
    """By a folder's list the files in it, if cache or remote have the list."""
    absent: frozenset[str]
    """Of the objects asked for and the files of folders, those that the remote does not have."""
    uncached: frozenset[str]
    """Those that the cache does not have."""

    def objects(self, digest: str) -> list[str]:
        """A file; or a folder's list and its files."""
        return [digest, *self.lists.get(digest, [])]

    def lacks(self, digest: str) -> bool:
        """Whether the remote does not have all of a file or folder."""
        return not self.absent.isdisjoint(self.objects(digest))


def look(objects: Iterable[str] = ()) -> Storage:
    """The default remote and cache of the DVC project here, and what they lack of these files and folders.

    `objects`: as pointers have them, md5 of a file, or of a folder's list with `.dir` behind it. Raises `UserError` if
    there is no DVC, no project, no default remote, if the remote cannot be reached, or if another DVC process is at
    work here.
    """
    answer = _ask(LOOK, objects)
    return Storage(**{**answer, "absent": frozenset(answer["absent"]), "uncached": frozenset(answer["uncached"])})


def push(objects: Iterable[str]) -> None:
    """Have DVC push files and folders from the cache to the default remote, its progress on the terminal.

    `objects`: as for `look`. Raises `UserError` as `look` does, and if some were not taken.
    """
    failed = _ask(PUSH, objects)["failed"]
    if failed:
        raise UserError(
            f"DVC: {len(failed)} objects were not pushed",
            where=", ".join(failed[:5]),
            hint="look at the remote's space and rights, and call this again: what is done stays done",
        )


def _ask(what: str, objects: Iterable[str]) -> dict[str, Any]:
    """The answer of the process to one of `LOOK` and `PUSH`."""
    if find_spec("dvc") is None:
        raise UserError("DVC is not installed", hint="pip install dvc")
    command = [sys.executable, "-m", "safety_regions.share.storage", what]
    errors = None if what == PUSH and sys.stderr.isatty() else subprocess.PIPE
    done = subprocess.run(command, input="\n".join(objects), stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr or f"exit code {done.returncode}").strip()[-500:]
        raise UserError(f"DVC cannot be asked: {said}", hint=OUT_OF_REACH) from None
    if "error" in answer:
        found = "another DVC process is at work here" if answer["kind"] == "LockError" else answer["error"]
        raise UserError(f"DVC: {found}", where=str(Path.cwd()), hint=HINTS.get(answer["kind"], OUT_OF_REACH))
    return answer


def place(store: str, digest: str) -> str:
    """Where an object lies below a remote's URL or a cache's folder."""
    return f"{store}/{digest[:2]}/{digest[2:]}"


def _seen(asked: list[str]) -> dict[str, Any]:
    with import_module("dvc.repo").Repo() as repo, repo.lock:
        remote, cache = repo.cloud.get_remote_odb(), repo.cache.local
        lists = {digest: _files(digest, [cache, remote]) for digest in asked if digest.endswith(LIST)}
        objects = sorted({*asked, *(file for files in lists.values() for file in files)})
        # Whether an object is there, and no more: to look at more of it, DVC may remove one that it takes for damaged.
        return {
            "remote": repo.config["core"]["remote"],
            "url": remote.fs.unstrip_protocol(remote.path),
            "verify": bool(remote.verify),
            "cache": cache.path,
            "lists": lists,
            "absent": sorted(set(objects) - set(remote.list_oids_exists(objects))),
            "uncached": sorted(set(objects) - set(cache.list_oids_exists(objects))),
        }


def _pushed(asked: list[str]) -> dict[str, Any]:
    named = import_module("dvc_data.hashfile.hash_info").HashInfo
    with import_module("dvc.repo").Repo() as repo, repo.lock:
        # Of a list alone DVC would not push the files.
        files = {file for digest in asked if digest.endswith(LIST) for file in _files(digest, [repo.cache.local])}
        done = repo.cloud.push({named("md5", digest) for digest in files.union(asked)})
    return {"failed": sorted(each.value for each in done.failed)}


def _files(digest: str, stores: list[Any]) -> list[str]:
    """The objects of a folder's files, from the first store that has its list, undamaged."""
    for store in stores:
        try:
            with store.fs.open(store.oid_to_path(digest), "rb") as file:
                text = file.read()
        except FileNotFoundError:
            continue
        if hashlib.md5(text, usedforsecurity=False).hexdigest() + LIST == digest:
            return [entry["md5"] for entry in json.loads(text)]
    return []


def main() -> None:
    """Answer as JSON for the objects on stdin."""
    try:
        answer = {LOOK: _seen, PUSH: _pushed}[sys.argv[1]](sys.stdin.read().split())
    # Remotes have errors of many libraries; all of them are for the user to mend.
    except Exception as error:
        answer = {"kind": type(error).__name__, "error": f"{str(error) or type(error).__name__}"}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
