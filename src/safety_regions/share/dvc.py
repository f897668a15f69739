"""DVC's commands, each called once for many targets, one process at a time."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

from safety_regions.errors import UserError

ARGUMENT_BYTES = 400_000
"""Of targets per call: less than the smallest limit of the systems in use (1 MiB with the environment)."""
TOLD_LINES = 15


def dvc(*words: str, targets: Sequence[str]) -> None:
    """Run a DVC command on targets. Raises `UserError` with what DVC said if it fails."""
    if said := dvc_complaint(*words, targets=targets):
        raise UserError(
            f"dvc {words[0]} failed", where=said, hint="mend what DVC says and call this again: what is done stays done"
        )


def dvc_complaint(*words: str, targets: Sequence[str]) -> str:
    """Run a DVC command on targets and return what DVC said of its failure; empty if all went well.

    On a terminal DVC shows its progress and errors itself.
    """
    seen = sys.stderr.isatty()
    complaints = []
    for some in _chunks(targets):
        command = [sys.executable, "-m", "dvc", *words, *some]
        environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
        errors = None if seen else subprocess.PIPE
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors, text=True)
        if done.returncode != 0:
            lines = ["(see above)"] if seen else (done.stderr or f"exit code {done.returncode}").strip().splitlines()
            complaints += lines[-TOLD_LINES:]
    return "\n            ".join(complaints)


def forget_index() -> None:
    """Have DVC drop its index of what pointers name; its next command builds it anew.

    DVC keeps the index between commands. Killed while it writes one, it takes the part that is there for the whole, and
    its commands pass over the rest without a word.
    """
    program = "from dvc.repo import Repo\nwith Repo() as repo, repo.lock: repo.drop_data_index()"
    subprocess.run([sys.executable, "-c", program], capture_output=True)


def _chunks(targets: Sequence[str]) -> Iterator[list[str]]:
    some: list[str] = []
    size = 0
    for target in targets:
        if some and size + len(os.fsencode(target)) + 1 > ARGUMENT_BYTES:
            yield some
            some, size = [], 0
        some.append(target)
        size += len(os.fsencode(target)) + 1
    if some:
        yield some
