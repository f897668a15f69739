"""What is asked of git: which files it knows, and to stage some. Nothing is ever committed."""

import os
import subprocess
from collections.abc import Iterable
from typing import Any

from safety_regions.errors import UserError


def git(*words: str, paths: Iterable[str] | None = None) -> str:
    """Run a git command and return its stdout; `paths` are taken as they are, however many.

    Raises `UserError` if it fails.
    """
    given: dict[str, Any] = {} if paths is None else {"input": "\0".join(paths)}
    options = [] if paths is None else ["--pathspec-from-file=-", "--pathspec-file-nul"]
    command = ["git", *words, *options]
    environment = os.environ | ({} if paths is None else {"GIT_LITERAL_PATHSPECS": "1"})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **given)
    except FileNotFoundError:
        raise UserError("git is not installed", hint="install git") from None
    if done.returncode != 0:
        raise UserError(f"git {words[0]} failed", where=done.stderr.strip())
    return done.stdout


def require_repository() -> None:
    """Raise `UserError` if this is no git repository."""
    try:
        git("rev-parse", "--is-inside-work-tree")
    except UserError as error:
        raise UserError(
            "no git repository here",
            where=error.where or error.found,
            expected="a clone of the repository in which results are shared",
            hint="git clone it, or git init, and call this where the Snakefile is",
        ) from None


def tracked(folder: str) -> set[str]:
    """The files below a folder that are in git's index; none without a repository or a folder."""
    return set(_list("ls-files", "-z", "--", folder))


def committed(folder: str) -> set[str]:
    """The files below a folder that are in the last commit."""
    return set(_list("ls-tree", "-r", "-z", "--name-only", "HEAD", "--", folder))


def committed_text(path: str) -> str:
    """A file as it is in the last commit. Raises `UserError` if it is not there."""
    return git("show", f"HEAD:./{path}")


def changes(folder: str) -> dict[str, str]:
    """git's two letters (index, working tree) of every known file below a folder that is not as committed."""
    prefix = git("rev-parse", "--show-prefix").strip()
    lines = git("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no", "--", folder).split("\0")
    return {line[3:].removeprefix(prefix): line[:2] for line in lines if line}


def staged(*folders: str) -> dict[str, str]:
    """git's letter (A, M, D) of every staged file below some folders."""
    words = git("diff", "--cached", "--name-status", "--no-renames", "--relative", "-z", "--", *folders).split("\0")
    return dict(zip(words[1::2], words[0::2], strict=False))


def stage(paths: Iterable[str]) -> None:
    """Stage files as they are, removed ones as removed, and those too that a user's own rules let git ignore."""
    if paths := sorted(set(paths)):
        git("add", "--all", "--force", paths=paths)


def authors(paths: list[str]) -> list[str]:
    """Who committed these files, at most 100 of which are looked at."""
    return sorted(set(_list("log", "--format=%an <%ae>%x00", "--", *paths[:100])))


def _list(*words: str) -> list[str]:
    try:
        return [line.strip("\n") for line in git(*words).split("\0") if line.strip("\n")]
    except UserError:
        return []
