"""Loops that numba compiles when they are first called, and keeps as machine code in a cache.

Importing a module of this package takes longer than most commands do, so it is imported where it is used.
"""

import contextlib
import os
from collections.abc import Callable
from typing import Any

THREADS = "SAFETY_REGIONS_THREADS"
"""Environment variable: how many threads a process may use for these loops. One if unset; results do not depend on
it."""


def compiled(function: Callable) -> Any:
    """The function as machine code that releases the interpreter's lock; kept where a cache folder can be written."""
    from numba import njit

    try:
        loop = njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)
    # Keeping is for speed alone: a full disk must not end the job. numba itself lets go what Windows refuses, here.
    loop._cache._guard_against_spurious_io_errors = lambda: contextlib.suppress(OSError)
    return loop


def n_threads() -> int:
    """Threads that this process may use for these loops."""
    return max(1, int(os.environ.get(THREADS) or 1))
