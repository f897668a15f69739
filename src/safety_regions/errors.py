"""Errors that a user can act on: what was found, where, what was expected, what to do.

A `UserError` is shown without a traceback. Everything else is a bug of ours and keeps its traceback.
"""

import difflib
import errno
import gc
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """A mistake or fault that the person at the keyboard can mend.

    `found` says what is wrong, `where` names file, key or row, `expected` what would be right, `hint` the next step.
    """

    def __init__(self, found: str, *, where: str = "", expected: str = "", hint: str = ""):
        self.found, self.where, self.expected, self.hint = found, where, expected, hint
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.found]
        lines += [f"  where:    {self.where}"] if self.where else []
        lines += [f"  expected: {self.expected}"] if self.expected else []
        lines += [f"  hint:     {self.hint}"] if self.hint else []
        return "\n".join(lines)


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """`did you mean 'x'?` for the nearest known word, of at least this likeness, else the list of all of them."""
    known = sorted(map(str, known))
    near = difflib.get_close_matches(str(word), known, n=1, cutoff=cutoff)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or '(none)'}"


REFUSED = {
    errno.ENOSPC: "make room, then start again: what is finished is kept",
    errno.EDQUOT: "your quota is used up; make room, then start again: what is finished is kept",
    errno.EFBIG: "no file may be so large here (`ulimit -f` tells); raise the limit, then start again:"
    " what is finished is kept",
    errno.EROFS: "this file system is read-only; run where you can write",
    errno.EACCES: "you have no permission there; ask its owner, or run elsewhere",
    errno.EPERM: "the system does not permit it there; ask its administrator, or run elsewhere",
    errno.EISDIR: "a file belongs there; name another path, or move the folder away",
    errno.ENOTDIR: "a folder belongs there; name another path, or move the file away",
    errno.EEXIST: "something else is there already; name another path, or move it away",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.ELOOP: "a link there leads back to itself; remove it, or name another path",
    errno.EIO: "start again: what is finished is kept; if it stays so, the disk or its server is failing",
    errno.EREMOTEIO: "start again: what is finished is kept; if it stays so, the file server is failing",
    errno.ESTALE: "start again: the file server gave it to another meanwhile; what is finished is kept",
    errno.ETIMEDOUT: "start again when the file server answers: what is finished is kept",
    errno.ENOTCONN: "mount this file system anew, then start again: what is finished is kept",
    errno.EBUSY: "start again when nothing else uses it: what is finished is kept",
    errno.ETXTBSY: "start again when nothing else uses it: what is finished is kept",
    errno.ENOLCK: "start again; if it stays so, this file system has no locks: keep HF_HOME and results/ on another",
    errno.EMFILE: "start again after `ulimit -n 4096`: what is finished is kept",
    errno.ENFILE: "start again when fewer files are open on this machine: what is finished is kept",
    errno.ENOMEM: "start again where more memory is free: what is finished is kept",
}
"""What to do when the system says no to a file."""
FROM_RUST = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust, safetensors among them, pass on the system's error number, in errors that are no
`OSError`."""
TEMPORARY = re.compile(r"(?:^|/)\.[^/]+\.tmp(?:/|$)")
"""Files and folders that are not in place yet, as `files` and `models.folder` name them."""


UNNAMED = "the system does not say: in this folder, in the one for temporary files, or in a cache of yours"
"""Of an error that names no file."""


def refused_by_system(error: BaseException, path: Path | str = UNNAMED) -> UserError | None:
    """The `UserError` for an error with which the system refuses a file, like a full disk; None for any other.

    `path`: what is named where the error names no file, as when a write fails half-way.
    """
    if isinstance(error, OSError):
        # Of a copy the second name is the one that was to be written.
        number, name = error.errno, error.filename2 or error.filename
    else:
        found = None if isinstance(error, UserError) else FROM_RUST.search(str(error))
        number, name = int(found[1]) if found else None, None
    if number not in REFUSED:
        return None
    # A temporary file stands for the one that it was to become.
    named = path if name is None or TEMPORARY.search(str(name)) else name
    return UserError(os.strerror(number).lower(), where=str(named), hint=REFUSED[number])


def unreadable(error: OSError, where: Path | str, hint: str = "") -> UserError:
    """The `UserError` for a file that cannot be read; `hint`: what to do where the system says no more than that it is
    not there.
    """
    return UserError(f"cannot be read: {error.strerror}", where=str(where), hint=REFUSED.get(error.errno or 0, hint))


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Whatever the system refuses in this block, to write or read a file as a whole, is told as a `UserError` that
    names `path`.
    """
    try:
        yield
    except Exception as error:
        told = refused_by_system(error, path)
        if told is None:
            raise
        raise told from None


def visible(text: str) -> str:
    """The text with what a terminal would obey instead of show, as names and cells of other people's data may hold,
    written as escapes.
    """
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def run_main(main: Callable[[], None]) -> None:
    """Run a script's main; a `UserError`, a full disk or a missing permission becomes one message on stderr and exit
    code 1.
    """
    # Imports make a million objects and no garbage; to look through all of them again and again takes an eighth of a
    # job's start.
    gc.set_threshold(*gc.get_threshold()[:2], 100)
    try:
        main()
    except Exception as error:
        told = error if isinstance(error, UserError) else refused_by_system(error)
        if told is None:
            raise
        print(f"error: {visible(str(told))}", file=sys.stderr)
        raise SystemExit(1) from None
