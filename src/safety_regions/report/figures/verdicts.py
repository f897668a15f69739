"""The study's claims against models and methods: which hold, which do not, and by how much."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from safety_regions.report.figures.headline import run_footer
from safety_regions.report.figures.style import TWO_COLUMNS, add_footer, new_figure, paper_style, save
from safety_regions.report.numbers import UNDEFINED, shorten

COLUMNS = ["claim", "statement", "source", "model", "method", "verdict", "effect", "low", "high", "what", "reason"]
MARKS = {"holds": "✓", "does not hold": "✗", "undecided": "?"}
# Dark, light and middle in grey too; the mark and the word say the same.
FILLS = {"holds": "#0072B2", "does not hold": "#F5C9A8", "undecided": "#ECECEC"}
INK = {"holds": "white", "does not hold": "black", "undecided": "black"}
MOST_IN_TWO_LINES = 4
"""Columns up to which effect and interval stand in one line; with more the interval has a line of its own."""
MOST_WITH_WORDS = 6
"""Columns up to which a cell is wide enough for words and numbers; with more it has its mark alone."""
STATEMENT_WIDTH = 2.25
"""Inches."""
LEADING = 0.13
"""Inches from line to line in a cell."""
Cell = tuple[int, float, float]
"""A column, and where in inches the cell begins and ends below the top."""


def write_verdicts(content: dict[str, Any], config: dict[str, Any], output: Path) -> None:
    """Write verdicts.pdf, .png and .csv of the content of verdicts.json: `claims` and `verdicts`."""
    table = verdict_table(content)
    save(draw_verdicts(table, config), table, output, "verdicts")


def verdict_table(content: dict[str, Any]) -> pd.DataFrame:
    """One row per claim, model and method, in the order of the claims; a claim without a verdict has one row without a
    model.
    """
    claims = pd.DataFrame(content["claims"], columns=["id", "statement", "source"]).rename(columns={"id": "claim"})
    verdicts = pd.DataFrame(
        content["verdicts"], columns=[name for name in COLUMNS if name not in ("statement", "source")]
    )
    numbers = {name: pd.to_numeric(verdicts[name]).astype(float) for name in ("effect", "low", "high")}
    return claims.merge(verdicts.assign(**numbers), on="claim", how="left")[COLUMNS]


@paper_style
def draw_verdicts(table: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """A matrix of claims and methods (models above them): mark, word, effect and its interval; many columns: marks
    alone.
    """
    claims = table.drop_duplicates("claim").reset_index(drop=True)
    columns = [tuple(pair) for pair in table[["model", "method"]].dropna().drop_duplicates().to_numpy().tolist()]
    words = len(columns) <= MOST_WITH_WORDS
    size = None if words else min(6.5, 260 / len(columns))
    statements = [_statement(table[table["claim"] == claim]) for claim in claims["claim"]]
    least = 0.2 if not words else 0.36 if len(columns) <= MOST_IN_TWO_LINES else 0.46
    heights = [max(least, 0.06 + 0.115 * (text.count("\n") + 1)) for text in statements]
    figure = new_figure(TWO_COLUMNS, max(sum(heights), 0.4) + (1.0 if words else 1.8))
    axis = figure.subplots()
    edges = np.cumsum([0, *heights])
    axis.set_xlim(0, max(len(columns), 4))
    axis.set_ylim(edges[-1] if len(heights) else 1, 0)
    for row in table.dropna(subset=["model"]).to_dict("records"):
        line = int(np.flatnonzero(claims["claim"] == row["claim"])[0])
        cell = (columns.index((row["model"], row["method"])), edges[line], edges[line + 1])
        _fill_cell(axis, cell, FILLS[row["verdict"]])
        _write_cell(axis, cell, row, [(MARKS[row["verdict"]], size)] if size else _lines(row, len(columns)))
    axis.set_yticks((edges[:-1] + edges[1:]) / 2, statements, fontsize=6.2, linespacing=1.15)
    _name_columns(axis, columns, size)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.legend(
        handles=[
            Patch(facecolor=FILLS[v], edgecolor="0.6", linewidth=0.4, label=f"{mark}  {v}") for v, mark in MARKS.items()
        ],
        loc="outside upper left",
        ncols=3,
        borderaxespad=0.3,
    )
    add_footer(
        figure,
        f"{run_footer(config)}; {'effect and its 95% interval, as named in brackets' if words else 'in brackets what decides'}",
    )
    return figure


def _statement(rows: pd.DataFrame) -> str:
    """The claim over as many lines as it takes, and below it what its effect is."""
    # A character at 6.2 points is about 0.045 inches wide on average.
    width = int(STATEMENT_WIDTH / 0.045)
    whats = rows["what"].dropna().unique()
    lines = textwrap.wrap(str(rows["statement"].iloc[0]), width, break_on_hyphens=False)
    return "\n".join([*lines, *(textwrap.wrap(f"[{whats[0]}]", width) if len(whats) else [])])


def _fill_cell(axis: Axes, cell: Cell, color: str) -> None:
    column, top, bottom = cell
    axis.add_patch(
        Rectangle((column + 0.02, top + 0.015), 0.96, bottom - top - 0.03, facecolor=color, edgecolor="none")
    )


def _write_cell(axis: Axes, cell: Cell, row: dict[str, Any], lines: list[tuple[str, float]]) -> None:
    """Lines of text and their sizes in points, one below the other about the middle; of several the first is bold."""
    column, top, bottom = cell
    middle = (top + bottom) / 2 - LEADING * (len(lines) - 1) / 2
    for n, (text, size) in enumerate(lines):
        weight = "bold" if len(lines) > 1 and not n else "normal"
        axis.text(
            column + 0.5,
            middle + LEADING * n,
            text,
            fontsize=size,
            fontweight=weight,
            ha="center",
            va="center",
            color=INK[row["verdict"]],
            in_layout=False,
        )


def _lines(row: dict[str, Any], n_columns: int) -> list[tuple[str, float]]:
    """Mark and word, effect and interval, and their sizes in points."""
    value, interval = effect(row["effect"], row["low"], row["high"])
    word = f"{MARKS[row['verdict']]} {row['verdict']}"
    if n_columns <= MOST_IN_TWO_LINES:
        return [(word, 6.2), (f"{value} {interval}".strip(), 5.6)]
    return [(word, 5.3), (value, 5.3), *([(interval, 5.3)] if interval else [])]


def effect(value: float, low: float, high: float) -> tuple[str, str]:
    """An effect and its interval: `0.35` and `[0.21, 0.48]`; `–` and nothing if there is none."""
    if not np.isfinite(value):
        return UNDEFINED, ""
    return _short(value), f"[{_short(low)}, {_short(high)}]" if np.isfinite(low) and np.isfinite(high) else ""


def _short(value: float) -> str:
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"
    return f"−{text[1:]}" if text.startswith("-") and float(text) else text.removeprefix("-")


def _name_columns(axis: Axes, columns: list[tuple[str, str]], size: float | None) -> None:
    """Methods above their columns, and above those the model that they share."""
    axis.xaxis.tick_top()
    axis.set_xticks(
        np.arange(len(columns)) + 0.5,
        [method for _, method in columns],
        rotation=90 if size else 0,
        fontsize=size or 6.5,
    )
    models = [model for model, _ in columns]
    # Inches of a column, by about 0.055 inches of a character.
    fitting = 4.5 / max(len(columns), 1) / 0.055
    slanted = any(len(model) > models.count(model) * fitting for model in models)
    style: dict[str, Any] = {"rotation": 25, "ha": "left"} if slanted else {"ha": "center"}
    for model in dict.fromkeys(models):
        first, n = models.index(model), models.count(model)
        at = (first + n * (0.2 if slanted else 0.5), 1)
        axis.annotate(
            shorten(model, 24),
            at,
            (0, 5 + 6.5 * size if size else 14),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=6.8,
            **style,
        )
        if first:
            axis.axvline(first, color="0.2", linewidth=0.8)
