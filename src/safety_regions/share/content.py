"""The bytes of artifacts: sha256 as receipts have it, md5 as DVC has it, both in one reading, many files at a time."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from safety_regions.errors import unreadable
from safety_regions.progress import progress

CHUNK = 1 << 20


@dataclass(frozen=True)
class Digests:
    """Of one file."""

    sha256: str
    md5: str
    size: int
    """In bytes."""


@dataclass(frozen=True)
class Content:
    """All files of one artifact that are on disk."""

    files: dict[str, Digests]
    """By name; in a folder, relative to it."""
    is_folder: bool

    @property
    def md5(self) -> str:
        """As a pointer has it: of the file, or of DVC's list of a folder's files."""
        if not self.is_folder:
            return next(iter(self.files.values())).md5
        listed = [{"md5": self.files[name].md5, "relpath": name} for name in sorted(self.files)]
        return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"

    @property
    def size(self) -> int:
        """In bytes, of all files."""
        return sum(file.size for file in self.files.values())

    @property
    def objects(self) -> set[str]:
        """What DVC stores of it."""
        return {self.md5, *(file.md5 for file in self.files.values())}


def contents(artifacts: Iterable[str]) -> dict[str, Content]:
    """What is on disk of each artifact, by path; of one that is not, or of an empty folder, nothing.

    Everything is read.
    """
    names = {artifact: files_of(artifact) for artifact in artifacts}
    every = [file for files in names.values() for file in files.values()]
    digests = dict(zip(every, _digests_of_all(every), strict=True))
    return {
        artifact: Content({name: digests[file] for name, file in files.items()}, Path(artifact).is_dir())
        for artifact, files in names.items()
        if files
    }


def files_of(artifact: str) -> dict[str, Path]:
    """The files of an artifact that are on disk, by name; what killed writers left is none of them."""
    path = Path(artifact)
    if not path.is_dir():
        return {path.name: path} if path.exists() else {}
    below = (p for p in path.rglob("*") if not p.is_dir() and not p.name.endswith(".tmp"))
    return {p.relative_to(path).as_posix(): p for p in below}


def size_on_disk(artifact: str) -> int:
    """Bytes of the files of an artifact."""
    return sum(file.stat().st_size for file in files_of(artifact).values())


def digests_of(path: Path) -> Digests:
    """Both digests of a file. Raises `UserError` if it cannot be read."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise unreadable(error, path) from None
    return Digests(sha256.hexdigest(), md5.hexdigest(), size)


def _digests_of_all(files: list[Path]) -> list[Digests]:
    # Hashing and reading both let other threads run.
    found = []
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool, progress(len(files), "Checking", "files") as bar:
        for digests in pool.map(digests_of, files):
            found.append(digests)
            bar.update()
    return found


def remove(artifact: str) -> None:
    """Remove a file or folder, if it is there."""
    path = Path(artifact)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
