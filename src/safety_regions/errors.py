"""Errors that a user can act on: what was found, where, what was expected, what to do.

A `UserError` is shown without a traceback. Everything else is a bug of ours and keeps its traceback.
"""

import difflib
import errno
import gc
import sys
from collections.abc import Callable, Iterable
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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest known word, else the list of all of them."""
    known = sorted(map(str, known))
    near = difflib.get_close_matches(str(word), known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or '(none)'}"


FULL_OR_CLOSED = {
    errno.ENOSPC: "make room, then start again: what is finished is kept",
    errno.EDQUOT: "your quota is used up; make room, then start again: what is finished is kept",
    errno.EROFS: "this file system is read-only; run where you can write",
    errno.EACCES: "you have no permission there; ask its owner, or run elsewhere",
}
"""What to do when the system says no to a file."""


def run_main(main: Callable[[], None]) -> None:
    """Run a script's main; a `UserError`, a full disk or a missing permission becomes one message on stderr and exit code 1."""
    # Imports make a million objects and no garbage; to look through all of them again and again takes an eighth of a job's start.
    gc.set_threshold(*gc.get_threshold()[:2], 100)
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno not in FULL_OR_CLOSED:
            raise
        told = UserError(str(error.strerror).lower(), where=str(error.filename or Path.cwd()), hint=FULL_OR_CLOSED[error.errno])  # fmt: skip
        print(f"error: {told}", file=sys.stderr)
        raise SystemExit(1) from None
