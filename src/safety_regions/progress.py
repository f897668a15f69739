"""Progress of long loops: a bar on a terminal, a line now and then in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

LINE_EVERY_SECONDS = 10.0


class _Lines:
    """A stream that turns the bar's carriage returns into lines, for logs that people read with tail."""

    def write(self, text: str) -> None:
        text = text.strip("\r\n ")
        if text:
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


@contextmanager
def progress(total: int, doing: str, unit: str = "samples") -> Iterator[tqdm]:
    """A bar to `update(n)`: how many of `total`, how fast, how long to go. In a log, one line every 10 seconds."""
    terminal = sys.stderr.isatty()
    style: dict[str, Any] = (
        {}
        if terminal
        else {
            "file": _Lines(),
            "mininterval": LINE_EVERY_SECONDS,
            "maxinterval": LINE_EVERY_SECONDS,
            "ncols": 100,
            "ascii": True,
            "delay": LINE_EVERY_SECONDS,
        }
    )
    with tqdm(total=total, desc=doing, unit=f" {unit}", leave=terminal, dynamic_ncols=terminal, **style) as bar:
        yield bar
