"""The study's claims against models and methods: which hold, which do not, and by how much."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from safety_regions.claims.verdict import FAILS, HOLDS, MARKS, NOT_APPLICABLE, NOT_RUN, UNDECIDED, Verdict, by_claim
from safety_regions.report.figures.headline import run_footer
from safety_regions.report.figures.style import TWO_COLUMNS, add_footer, new_figure, paper_style, save
from safety_regions.report.numbers import UNDEFINED, shorten

COLUMNS = [
    *("claim", "statement", "source", "model", "method", "verdict", "effect", "low", "high", "what", "reason"),
    *("p_value", "p_holm", "p_bh", "moved_by", "effect_without", "verdict_without"),
]
WITHOUT = ["claim", "model", "method", "without", "verdict", "effect", "low", "high"]
# Dark, light and middle in grey too; the mark and the word say the same.
FILLS = {HOLDS: "#0072B2", FAILS: "#F5C9A8", UNDECIDED: "#ECECEC", NOT_RUN: "white", NOT_APPLICABLE: "white"}
INK = {HOLDS: "white", FAILS: "black", UNDECIDED: "black", NOT_RUN: "0.4", NOT_APPLICABLE: "0.4"}
MOST_IN_TWO_LINES = 4
"""Columns up to which effect and interval stand in one line; with more the interval has a line of its own."""
MOST_WITH_WORDS = 6
"""Columns up to which a cell is wide enough for words and numbers; with more it has its mark alone."""
STATEMENT_WIDTH = 2.25
"""Inches."""
LEADING = 0.13
"""Inches from line to line in a cell."""
Row = dict[Any, Any]
"""A row of `verdict_table`."""
Lines = list[tuple[str, float]]
"""Lines of text and their sizes in points."""
Cell = tuple[int, float, float]
"""A column, and where in inches the cell begins and ends below the top."""


@dataclass(frozen=True)
class Layout:
    """How much a cell says, and what that asks of the figure."""

    lines: Callable[[Row], Lines]
    """What stands in the cell of a row."""
    least_height: float
    """Of a cell, in inches."""
    margins: float
    """Inches above and below all cells."""
    name_size: float
    """Of a method's name above its column, in points."""
    name_rotation: int
    model_distance: float
    """From the cells up to the name of a model, in points."""
    brackets: str
    """What stands in brackets, in words."""


def layout_for(n_columns: int) -> Layout:
    """Mark, word, effect and interval in two lines or three, or where the columns are many the mark alone."""
    if n_columns > MOST_WITH_WORDS:
        size = min(6.5, 260 / n_columns)
        return Layout(
            lines=lambda row: [(MARKS[row["verdict"]], size)],
            least_height=0.2,
            margins=1.8,
            name_size=size,
            name_rotation=90,
            model_distance=5 + 6.5 * size,
            brackets="in brackets what decides",
        )
    in_two = n_columns <= MOST_IN_TWO_LINES
    return Layout(
        lines=_in_two_lines if in_two else _in_three_lines,
        least_height=0.36 if in_two else 0.46,
        margins=1.0,
        name_size=6.5,
        name_rotation=0,
        model_distance=14.0,
        brackets="effect and its 95% interval, as named in brackets",
    )


def write_verdicts(verdicts: Sequence[Verdict], config: dict[str, Any], output: Path) -> None:
    """Write verdicts.pdf, .png and .csv."""
    table = verdict_table(verdicts)
    save(draw_verdicts(table, config), table, output, "verdicts")


def verdict_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row per claim, model and method, claim by claim, with numbers as verdicts.json has them.

    `moved_by`: the set without which the effect is farthest from that of all, with effect and verdict without it.
    """
    rows = []
    for claim, on_claim in by_claim(verdicts).items():
        for verdict in on_claim:
            outcome = verdict.outcome.rounded()
            about = (claim.id, claim.statement, claim.source, verdict.model, verdict.method)
            numbers = (outcome.effect, outcome.low, outcome.high)
            p_values = (outcome.p_value, round(verdict.p_holm, 6), round(verdict.p_bh, 6))
            moved_by, without = verdict.moved_most or ("", None)
            moved = (moved_by, without.rounded().effect, without.decision) if without else ("", np.nan, "")
            rows.append((*about, outcome.decision, *numbers, claim.effect, outcome.reason, *p_values, *moved))
    return pd.DataFrame(rows, columns=COLUMNS)


def without_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row per claim, model, method and set: effect, interval and verdict without that set."""
    rows = []
    for verdict in verdicts:
        for name, without in verdict.without.items():
            of = without.rounded()
            rows.append(
                (verdict.claim.id, verdict.model, verdict.method, name, of.decision, of.effect, of.low, of.high)
            )
    return pd.DataFrame(rows, columns=WITHOUT)


@paper_style
def draw_verdicts(table: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """A matrix of claims and methods (models above them): mark, word, effect and its interval; many columns: marks
    alone.
    """
    claims = list(dict.fromkeys(table["claim"]))
    columns = list(dict.fromkeys(zip(table["model"], table["method"], strict=True)))
    layout = layout_for(len(columns))
    statements = [_statement(table[table["claim"] == claim]) for claim in claims]
    heights = [max(layout.least_height, 0.06 + 0.115 * (text.count("\n") + 1)) for text in statements]
    figure = new_figure(TWO_COLUMNS, max(sum(heights), 0.4) + layout.margins)
    axis = figure.subplots()
    edges = np.cumsum([0, *heights])
    axis.set_xlim(0, max(len(columns), 4))
    axis.set_ylim(edges[-1] if len(heights) else 1, 0)
    for row in table.to_dict("records"):
        line = claims.index(row["claim"])
        cell = (columns.index((row["model"], row["method"])), edges[line], edges[line + 1])
        _fill_cell(axis, cell, FILLS[row["verdict"]])
        _write_cell(axis, cell, layout.lines(row), INK[row["verdict"]])
    axis.set_yticks((edges[:-1] + edges[1:]) / 2, statements, fontsize=6.2, linespacing=1.15)
    _name_columns(axis, columns, layout)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    keys = [
        Patch(facecolor=FILLS[decision], edgecolor="0.6", linewidth=0.4, label=f"{mark}  {decision}")
        for decision, mark in MARKS.items()
    ]
    figure.legend(handles=keys, loc="outside upper left", ncols=len(keys), borderaxespad=0.3)
    add_footer(figure, f"{run_footer(config)}; {layout.brackets}")
    return figure


def _statement(rows: pd.DataFrame) -> str:
    """The claim over as many lines as it takes, and below it what its effect is."""
    # A character at 6.2 points is about 0.045 inches wide on average.
    width = int(STATEMENT_WIDTH / 0.045)
    statement, what = rows["statement"].iloc[0], rows["what"].iloc[0]
    return "\n".join([*textwrap.wrap(statement, width, break_on_hyphens=False), *textwrap.wrap(f"[{what}]", width)])


def _fill_cell(axis: Axes, cell: Cell, color: str) -> None:
    column, top, bottom = cell
    axis.add_patch(
        Rectangle((column + 0.02, top + 0.015), 0.96, bottom - top - 0.03, facecolor=color, edgecolor="none")
    )


def _write_cell(axis: Axes, cell: Cell, lines: Lines, ink: str) -> None:
    """Lines of text, one below the other about the middle; of several the first is bold."""
    column, top, bottom = cell
    middle = (top + bottom) / 2 - LEADING * (len(lines) - 1) / 2
    for number, (text, size) in enumerate(lines):
        axis.text(
            column + 0.5,
            middle + LEADING * number,
            text,
            fontsize=size,
            fontweight="bold" if len(lines) > 1 and number == 0 else "normal",
            ha="center",
            va="center",
            color=ink,
            in_layout=False,
        )


def _in_two_lines(row: Row) -> Lines:
    value, interval = effect(row["effect"], row["low"], row["high"])
    return [(_word(row), 6.2), (f"{value} {interval}".strip(), 5.6)]


def _in_three_lines(row: Row) -> Lines:
    value, interval = effect(row["effect"], row["low"], row["high"])
    return [(text, 5.3) for text in (_word(row), value, interval) if text]


def _word(row: Row) -> str:
    return f"{MARKS[row['verdict']]} {row['verdict']}"


def effect(value: float, low: float, high: float) -> tuple[str, str]:
    """An effect and its interval: `0.35` and `[0.21, 0.48]`; `–` and nothing if there is none."""
    if not np.isfinite(value):
        return UNDEFINED, ""
    return _short(value), f"[{_short(low)}, {_short(high)}]" if np.isfinite(low) and np.isfinite(high) else ""


def _short(value: float) -> str:
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"
    return f"−{text[1:]}" if text.startswith("-") and float(text) else text.removeprefix("-")


def _name_columns(axis: Axes, columns: list[tuple[str, str]], layout: Layout) -> None:
    """Methods above their columns, and above those the model that they share."""
    axis.xaxis.tick_top()
    names = [method for _, method in columns]
    places = np.arange(len(columns)) + 0.5
    axis.set_xticks(places, names, rotation=layout.name_rotation, fontsize=layout.name_size)
    models = [model for model, _ in columns]
    # Inches of a column, by about 0.055 inches of a character.
    fitting = 4.5 / max(len(columns), 1) / 0.055
    slanted = any(len(model) > models.count(model) * fitting for model in models)
    style: dict[str, Any] = {"rotation": 25, "ha": "left"} if slanted else {"ha": "center"}
    for model in dict.fromkeys(models):
        first, n = models.index(model), models.count(model)
        axis.annotate(
            shorten(model, 24),
            (first + n * (0.2 if slanted else 0.5), 1),
            (0, layout.model_distance),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=6.8,
            **style,
        )
        if first:
            axis.axvline(first, color="0.2", linewidth=0.8)
