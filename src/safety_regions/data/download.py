"""One raw file over HTTP: whole, within limits, or a `UserError`."""

import os
import time

import requests

from safety_regions.errors import UserError

MIRROR = "SAFETY_REGIONS_MIRROR"
MAX_BYTES = 256 * 2**20
MAX_SECONDS = 600.0
TIMEOUTS = (15.0, 60.0)
"""Seconds to connect, and between two pieces of the answer."""
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
TRANSIENT_ERRORS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class _TransientError(Exception):
    """A fault that may be gone a moment later."""


def download(url: str, *, attempts: int = 4, pause: float = 1.0, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes at `url`, read through the mirror that the environment names, if any.

    Transient faults are retried after `pause`, 2 `pause`, 4 `pause` ... seconds. Raises `UserError` when it stays so,
    for any other answer than 200, and for more than `max_bytes`.
    """
    address = mirrored(url, os.environ.get(MIRROR, ""))
    for attempt in range(1, attempts + 1):
        try:
            return _get(address, max_bytes)
        except _TransientError as error:
            if attempt == attempts:
                raise _failed(address, f"{error} ({attempts} attempts)") from None
            time.sleep(pause * 2 ** (attempt - 1))
    raise ValueError(f"attempts is {attempts}, expected at least 1")


def mirrored(url: str, mirrors: str) -> str:
    """`url` with its start replaced by the first `PREFIX=REPLACEMENT` of the space-separated `mirrors` that fits."""
    for mirror in mirrors.split():
        prefix, separator, replacement = mirror.partition("=")
        if not (prefix and separator and replacement):
            raise UserError(
                f"{mirror!r}",
                where=f"environment variable {MIRROR}",
                expected="PREFIX=REPLACEMENT, several separated by spaces",
            )
        if url.startswith(prefix):
            return replacement + url.removeprefix(prefix)
    return url


def _get(address: str, max_bytes: int) -> bytes:
    deadline = time.monotonic() + MAX_SECONDS
    try:
        with requests.get(address, stream=True, timeout=TIMEOUTS) as answer:
            if answer.status_code in TRANSIENT_STATUS:
                raise _TransientError(f"HTTP {answer.status_code}")
            if answer.status_code != 200:
                raise _failed(address, f"HTTP {answer.status_code}")
            data = bytearray()
            for piece in answer.iter_content(2**16):
                data += piece
                if len(data) > max_bytes:
                    raise UserError(
                        f"more than {max_bytes} bytes",
                        where=address,
                        expected="a smaller file",
                        hint="download it by hand and use a source of kind: local",
                    )
                if time.monotonic() > deadline:
                    raise _TransientError(f"not finished after {MAX_SECONDS:.0f} s")
            return bytes(data)
    except TRANSIENT_ERRORS as error:
        raise _TransientError(f"{type(error).__name__}: {error}") from None
    except requests.RequestException as error:
        raise _failed(address, f"{type(error).__name__}: {error}") from None


def _failed(address: str, reason: str) -> UserError:
    return UserError(
        f"download failed: {reason}",
        where=address,
        hint=f"behind a firewall, name a mirror in {MIRROR}=PREFIX=REPLACEMENT, or use a source of kind: local",
    )
