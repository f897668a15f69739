"""Files that are there whole or not at all, and the hashes by which they are known."""

import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from glob import escape
from pathlib import Path
from typing import Any

from safety_regions.errors import UserError, naming

UNWRITTEN = 7 * 24 * 3600.0
"""Seconds after which a temporary file of a process that cannot be asked for is taken for a dead one's: a model folder
is open for as long as the model is trained."""
_NOT_OFFERED = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EBADF}
)
_WRITER = re.compile(r"\.(?P<processes>[0-9a-f]{8})-(?P<number>[0-9]+)\.[^.]+\.tmp$")


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def readable_json(value: Any) -> str:
    """JSON for people and diffs: sorted keys, indented, newline at the end."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_STRICT = json.JSONDecoder(parse_constant=_refuse)


def load_json(text: str) -> Any:
    """The value of a JSON text.

    Raises `ValueError` for what `canonical_json` never writes: NaN, infinities; and for nesting too deep to read.
    """
    try:
        return _STRICT.decode(text)
    except RecursionError:
        raise ValueError("too many lists or mappings inside each other") from None


def sha256_of_text(text: str) -> str:
    """sha256 of the UTF-8 bytes, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_file(path: Path | str) -> str:
    """sha256 of a file's bytes, 64 hexadecimal digits."""
    with naming(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path in the same folder that becomes `path` when the block ends without an error.

    The bytes are on disk (fsync) before the rename, so a crash leaves the old file, the new file, or none. Raises
    `UserError` naming `path` where the system refuses it, as on a full disk.
    """
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=temporary_prefix(path), suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            share(temporary)
            flush(temporary)
            os.replace(temporary, path)
            flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def share(path: Path) -> None:
    """Give a file the user's usual mode: mkstemp and safetensors make 0600 files, but results are shared within a
    group.
    """
    umask = os.umask(0)
    os.umask(umask)
    with _where_it_can_be():
        path.chmod(0o666 & ~umask)


def temporary_prefix(path: Path) -> str:
    """How names of temporary files and folders start that are to become `path`: they name the process that writes."""
    return f".{path.name}.{_processes()}-{os.getpid()}."


def remove_leftovers(path: Path | str) -> None:
    """Remove the temporary files and folders that dead writers of `path`, or of files in it, left behind.

    Those of a live process stay. Whether one of another machine, or container, lives cannot be asked: what it left goes
    when nothing was written to it for `UNWRITTEN` seconds. What the system does not let go stays without a word.
    """
    path = Path(path)
    for left in [*path.parent.glob(f".{escape(path.name)}.*.tmp"), *path.glob(".*.tmp")]:
        with contextlib.suppress(OSError):
            if _is_dead(left):
                shutil.rmtree(left) if left.is_dir() else left.unlink()


@functools.cache
def _processes() -> str:
    """Of the machine, or container, in which the numbers of processes are those of this process."""
    try:
        numbered = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # no Linux
        numbered = ""
    return sha256_of_text(f"{socket.gethostname()} {numbered}")[:8]


def _is_dead(left: Path) -> bool:
    writer = _WRITER.search(left.name)
    if writer is None or writer["processes"] != _processes():
        written = [path.stat().st_mtime for path in [left, *left.rglob("*")]]
        return time.time() - max(written) > UNWRITTEN
    try:
        os.kill(int(writer["number"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it lives, and is another user's
        return False
    return False


def flush(path: Path) -> None:
    """Have the system bring the bytes of a file, or the names in a folder, to its disk, where the file system can."""
    with _where_it_can_be():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _where_it_can_be() -> Iterator[None]:
    """What network and foreign file systems have not, such as modes of files, is done without."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_jsonl(path: Path | str, rows: list[dict]) -> None:
    """One canonical JSON object per line, atomically."""
    write_text(path, "".join(canonical_json(row) + "\n" for row in rows))


def read_jsonl(path: Path | str) -> list[dict]:
    """The rows of a file that `write_jsonl` wrote. Raises `UserError` naming the line that is not a JSON object."""
    rows = []
    with naming(path), open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = load_json(line.decode())
            except ValueError as error:
                raise UserError(f"not JSON: {error}", where=f"{path}, line {number}") from None
            if not isinstance(row, dict):
                raise UserError(f"a JSON {type(row).__name__}", where=f"{path}, line {number}", expected="an object")
            rows.append(row)
    return rows
