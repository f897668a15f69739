"""Tables and numbers as plain text."""

import textwrap
from collections.abc import Iterable, Sequence

SHOWN = 30
WIDTH = 100
"""Letters of a line for a terminal."""


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest word, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    right = [bool(cells) and all(row[i].isdigit() for row in cells) for i in range(len(header))]
    lines = [_line(row, widths, right) for row in [header, ["-" * width for width in widths], *cells]]
    return "\n".join(lines)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown, line by line."""
    return [_markdown_row(header), "|" + "---|" * len(header), *map(_markdown_row, rows)]


def and_list(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def first(rows: Sequence[Sequence[object]], rest: str) -> list[Sequence[object]]:
    """The first rows of many, and one that says how many more there are, and where all of them are listed."""
    if len(rows) <= SHOWN:
        return list(rows)
    return [*rows[:SHOWN], [f"and {len(rows) - SHOWN} more: {rest}", *[""] * (len(rows[0]) - 1)]]


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(cells: Sequence[str], widths: list[int], right: list[bool]) -> str:
    columns = zip(cells, widths, right, strict=True)
    padded = [cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in columns]
    return "  ".join(padded).rstrip()


def readable_size(n_bytes: int | float) -> str:
    """A number of bytes for people: 1.5 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def section_for_terminal(markdown: str, title: str) -> str:
    """A section of a page in Markdown, in lines that fit and without marks for bold; empty if there is none."""
    _, found, rest = markdown.partition(f"\n## {title}\n")
    lines = rest.partition("\n## ")[0].replace("**", "").strip().splitlines() if found else []
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ", break_long_words=False) for line in lines)
