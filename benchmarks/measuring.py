"""What the benchmarks share: alternating runs, ratios, and the time that one read from memory takes."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np


def alternate(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """CPU seconds of this process for each function, run in turns after one turn to warm up.

    CPU seconds, as other processes' turns are not counted; in turns, so that what others do to caches and clocks hits
    all.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeats + 1):
        for name, function in functions.items():
            start = time.process_time()
            function()
            if turn:
                times[name].append(time.process_time() - start)
    return times


def ratio(times: dict[str, list[float]], name: str, to: str) -> float:
    """The median over the turns."""
    return round(median(a / b for a, b in zip(times[name], times[to], strict=True)), 3)


def reader() -> Callable[[np.ndarray], int]:
    """A loop that reads each 64-bit word of an array once: the sum, several words at a time."""
    from numba import njit

    @njit(nogil=True)
    def read(words):
        total = np.uint64(0)
        for i in range(words.size):
            total += words[i]
        return total

    return read
