"""Draw docs/architecture.svg from the code: the rooms of the package on their floors, and which imports which.

Floors are those of the contract in pyproject.toml, what a room is for is the first sentence of its docstring, and an
arrow is an import. An arrow that follows from two others is left out. The same code gives the same bytes.
"""

import ast
import re
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
PACKAGE = "safety_regions"
CALLERS = {
    "Snakefile": "What runs, after what, with which resources.",
    "scripts": "What a job calls: arguments, one step, outputs.",
}
"""What stands outside the package and calls it; drawn beside the commands."""
UNDRAWN = {"__main__"}
"""Nothing but the way to the commands."""

WIDTH, ROW, BOX, PASSAGE, MARGIN = 960, 112, 174, 16, 12
"""Pixels: of the picture, from floor to floor, of a room, of arrows that pass between two rooms, around all."""
HEIGHT_OF_BOX, LINE, LETTERS = 76, 13, 28
"""Pixels of a room and of a line of text in it; letters that such a line holds."""
SWEEPS = 12
"""How often rooms are put in the order of what they are joined to, floor by floor, up and down."""


@dataclass(frozen=True)
class Passage:
    """Where arrows to a room pass a floor above it."""

    to: str
    floor: int


Place = str | Passage


def imports() -> dict[str, set[str]]:
    """The rooms that each room imports, and each caller."""
    package = ROOT / "src" / PACKAGE
    found: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        found.setdefault(room, set()).update(rooms_named_in(path.read_text(encoding="utf-8")))
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "scripts").glob("*.py")))
    rules = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "rules").glob("*.smk")))
    lines = re.findall(rf"^from {PACKAGE}\S* import .*$", rules, re.MULTILINE)
    found |= {"scripts": set(rooms_named_in(scripts)), "Snakefile": set(rooms_named_in("\n".join(lines)))}
    return {room: others - {room} for room, others in found.items() if room not in {"__init__", *UNDRAWN}}


def rooms_named_in(source: str) -> Iterator[str]:
    """The rooms from which a piece of Python imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            _, _, inside = node.module.partition(".")
            yield from [inside.split(".")[0]] if inside else [alias.name for alias in node.names]


def without_those_that_follow(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The fewest arrows from which all others follow."""
    reached: dict[str, set[str]] = {}

    def reach(room: str) -> set[str]:
        if room not in reached:
            reached[room] = arrows[room].union(*(reach(other) for other in arrows[room]))
        return reached[room]

    return {room: to - set().union(*(reach(other) for other in to)) for room, to in arrows.items()}


def floors() -> list[list[str]]:
    """The rooms of each floor, the highest first, as the contract has them; callers stand on the highest."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    named = [[room for room in layer.split(" | ") if room not in UNDRAWN] for layer in layers]
    first, *others = [floor for floor in named if floor]
    return [[*CALLERS, *first], *others]


def purpose(room: str) -> str:
    """The first sentence of a room's docstring."""
    if room in CALLERS:
        return CALLERS[room]
    path = ROOT / "src" / PACKAGE / room
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=\.)\s", " ".join(text.split()))[0]


def picture() -> str:
    """The picture as SVG."""
    arrows = without_those_that_follow(imports())
    rows, steps = with_passages(floors(), arrows)
    order(rows, steps)
    middle = {place: x for row in rows for place, x in spread(row).items()}
    top = {place: MARGIN + number * ROW for number, row in enumerate(rows) for place in row}
    height = 2 * MARGIN + (len(rows) - 1) * ROW + HEIGHT_OF_BOX
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f"<title>The rooms of {PACKAGE}, and which imports which</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#567"/></marker>',
        *(arrow(middle, top, above, below) for above, below in steps),
        *(box(room, middle[room], top[room]) for row in rows for room in row if isinstance(room, str)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def with_passages(
    rooms: list[list[str]], arrows: dict[str, set[str]]
) -> tuple[list[list[Place]], list[tuple[Place, Place]]]:
    """The floors with a passage wherever arrows to a room pass one, and the steps from floor to floor."""
    floor_of = {room: number for number, floor in enumerate(rooms) for room in floor}
    rows: list[list[Place]] = [list(floor) for floor in rooms]
    steps: dict[tuple[Place, Place], None] = {}
    for room in floor_of:
        for to in sorted(arrows[room]):
            way: list[Place] = [room, *(Passage(to, n) for n in range(floor_of[room] + 1, floor_of[to])), to]
            steps.update(dict.fromkeys(pairwise(way)))
            for place in way[1:-1]:
                if isinstance(place, Passage) and place not in rows[place.floor]:
                    rows[place.floor].append(place)
    return rows, list(steps)


def order(rows: list[list[Place]], steps: list[tuple[Place, Place]]) -> None:
    """Sort each floor, in place, by where the places stand that its own are joined to."""
    joined: dict[Place, list[Place]] = {}
    for above, below in steps:
        joined.setdefault(above, []).append(below)
        joined.setdefault(below, []).append(above)
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            x = {place: at for others in rows for place, at in spread(others).items()}
            row.sort(key=lambda place: sum(x[other] for other in joined[place]) / len(joined[place]))


def spread(row: list[Place]) -> dict[Place, int]:
    """The middles of a floor's places: over the whole width, with equal gaps."""
    widths = [BOX if isinstance(place, str) else PASSAGE for place in row]
    gap = (WIDTH - 2 * MARGIN - sum(widths)) / (len(row) + 1)
    return {place: round(MARGIN + gap * (n + 1) + sum(widths[:n]) + widths[n] / 2) for n, place in enumerate(row)}


def arrow(middle: dict[Place, int], top: dict[Place, int], above: Place, below: Place) -> str:
    """One step of an arrow from a floor to the next; a passage is drawn as a straight piece."""
    start = top[above] + HEIGHT_OF_BOX
    end = top[below] - (2 if isinstance(below, str) else 0)
    bend = (start + end) // 2
    tip = ' marker-end="url(#tip)"' if isinstance(below, str) else ""
    through = f"V{top[below] + HEIGHT_OF_BOX}" if isinstance(below, Passage) else ""
    line = f"M{middle[above]} {start}C{middle[above]} {bend} {middle[below]} {bend} {middle[below]} {end}{through}"
    return f'<path d="{line}" fill="none" stroke="#567"{tip}/>'


def box(room: str, middle: int, top: int) -> str:
    """A room: its name, and what it is for."""
    left = middle - BOX // 2
    fill = "#eef3f8" if room not in CALLERS else "#f7f1e3"
    words = textwrap.wrap(purpose(room).replace("`", ""), LETTERS, break_on_hyphens=False)
    lines = [
        f'<text x="{middle}" y="{top + 30 + LINE * n}" font-size="10.5" text-anchor="middle">{escape(text)}</text>'
        for n, text in enumerate(words)
    ]
    return "".join(
        [
            f'<rect x="{left}" y="{top}" width="{BOX}" height="{HEIGHT_OF_BOX}" rx="5" fill="{fill}" stroke="#345"/>',
            f'<text x="{middle}" y="{top + 15}" font-size="13" font-weight="bold" text-anchor="middle">{room}</text>',
            *lines,
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
