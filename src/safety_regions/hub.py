"""What the Hub, the network or the disk of its cache refuse, told by cause and error number."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from safety_regions.errors import UserError, refused_by_system


@contextlib.contextmanager
def hub_errors(what: str, id: str, revision: str, where: str) -> Iterator[None]:
    """Whatever the Hub's client raises in this block is told as a `UserError`: none of it is a bug of ours.

    `what`: `model` or `dataset`.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise _told(list(_chain(error)), what, id, revision, where) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _told(causes: list[BaseException], what: str, id: str, revision: str, where: str) -> UserError:
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    answers = [getattr(cause, "response", None) for cause in causes if isinstance(cause, HfHubHTTPError)]
    if answers:
        return _answered(causes, getattr(answers[0], "status_code", 0), what, id, revision, where)
    unreached = [cause for cause in causes if _is_of_network(cause)]
    offline = any(isinstance(cause, OfflineModeIsEnabled) for cause in causes)
    # A network's error numbers are partly those of disks, so disks come after it.
    refused = [told for cause in causes if (told := refused_by_system(cause, constants.HF_HOME))]
    if refused and not unreached and not offline:
        told = refused[0]
        hint = f"{told.hint}; HF_HOME names the folder in which the Hub's files are kept, now {constants.HF_HOME}"
        return UserError(told.found, where=f"{where}: {told.where}", hint=hint)
    if unreached or offline or any(isinstance(cause, LocalEntryNotFoundError) for cause in causes):
        reason = f": {str(unreached[0]).splitlines()[0]}" if unreached and str(unreached[0]) else ""
        return UserError(
            f"not in the cache, and no connection to the Hub{reason}",
            where=where,
            hint="fetch it once where there is a network, with the same HF_HOME, and without HF_HUB_OFFLINE",
        )
    if any(isinstance(cause, EntryNotFoundError) for cause in causes):
        return _no_file(what, id, revision, where)
    return UserError(
        f"the download failed: {type(causes[0]).__name__}: {(str(causes[0]).splitlines() or [''])[0]}",
        where=where,
        hint=f"start again: what is complete is kept; see {page(what, id)}",
    )


def _is_of_network(cause: BaseException) -> bool:
    # Of whichever library the Hub's client uses: requests, httpx and its heirs, urllib3.
    names = {kind.__name__ for kind in type(cause).__mro__}
    return bool(names & {"TransportError", "ConnectTimeout", "ConnectError", "ProxyError", "SSLError", "gaierror"}) or (
        isinstance(cause, ConnectionError) and "OfflineModeIsEnabled" not in names
    )


def _answered(causes: list[BaseException], status: int, what: str, id: str, revision: str, where: str) -> UserError:
    """What the Hub itself said."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    def has(kind: Any) -> bool:
        return any(isinstance(cause, kind) for cause in causes)

    site = page(what, id)
    if has(GatedRepoError):
        return UserError(
            f"this {what} is gated",
            where=where,
            expected="a token with access",
            hint=_with_token(f"accept its terms at {site}"),
        )
    if has(RevisionNotFoundError):
        return UserError(f"no commit {revision}", where=where, hint=f"the commits there are: {site}/commits/main")
    if has(RepositoryNotFoundError):
        return UserError(
            f"no {what} {id} on the Hub, or it is private",
            where=where,
            hint=_with_token(f"check its id at {site}; a private one needs a token"),
        )
    if status == 429:
        more = "" if _held() else ", or set HF_TOKEN in the environment: with a token more is allowed"
        return UserError(
            "the Hub allows no more requests for now (HTTP 429)",
            where=where,
            hint=f"start again in some minutes{more}; what is complete is kept",
        )
    if status >= 500:
        return UserError(
            f"the Hub has a fault of its own (HTTP {status})",
            where=where,
            hint="start again later: what is complete is kept; https://status.huggingface.co says how it is",
        )
    if status in (401, 403):
        return UserError(f"the Hub refuses this (HTTP {status})", where=where, hint=_with_token(f"see {site}"))
    if has(EntryNotFoundError):
        return _no_file(what, id, revision, where)
    return UserError(f"the Hub answers HTTP {status}", where=where, hint=f"see {site}")


def _no_file(what: str, id: str, revision: str, where: str) -> UserError:
    return UserError(
        f"no such file in this {what}", where=where, hint=f"the files there are: {page(what, id)}/tree/{revision}"
    )


def page(what: str, id: str) -> str:
    """Where a `model` or `dataset` of the Hub is to be seen."""
    return f"https://huggingface.co/{'datasets/' if what == 'dataset' else ''}{id}"


def _held() -> bool:
    return bool(os.environ.get("HF_TOKEN"))


def _with_token(first: str) -> str:
    held = "the token in HF_TOKEN has no access" if _held() else "set HF_TOKEN in the environment to your token"
    return f"{first}; {held}"
