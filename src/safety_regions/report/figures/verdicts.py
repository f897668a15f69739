"""The study's claims against models and methods: which hold, which do not, and by how much."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from safety_regions.claims.catalogue import CATALOGUE, SOURCES
from safety_regions.claims.verdict import FAILS, HOLDS, MARKS, NOT_APPLICABLE, NOT_RUN, UNDECIDED, Verdict, by_claim
from safety_regions.report.figures.headline import run_footer
from safety_regions.report.figures.style import TWO_COLUMNS, add_footer, new_figure, paper_style, save
from safety_regions.report.names import IDS, Names
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
MOST_ACROSS = 6
"""Models and methods up to which each has a column; of more each has a line, and the claims are the columns."""
STATEMENT_WIDTH = 2.25
"""Inches."""
LEADING = 0.13
"""Inches from line to line in a cell."""
HEADING = 0.24
"""Inches of a heading between cells."""
SHORTS = {claim.id: claim.short for claim in CATALOGUE}
Row = dict[Any, Any]
"""A row of `verdict_table`."""
Lines = list[tuple[str, float]]
"""Lines of text and their sizes in points."""
Cell = tuple[int, float, float]
"""A column, and where in inches the cell begins and ends below the top."""


def write_verdicts(verdicts: Sequence[Verdict], config: dict[str, Any], output: Path, names: Names = IDS) -> None:
    """Write verdicts.pdf, .png and .csv."""
    table = verdict_table(verdicts)
    save(draw_verdicts(names.table(table), names.config(config)), table, output, "verdicts")


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


def draw_verdicts(table: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """A matrix of claims and of models with methods, the study's claims apart from ours: in each cell mark, effect and
    its 95% interval. Claims that were run for no model are named below it.
    """
    said = table.groupby("claim", sort=False)["verdict"].agg(set)
    of_none = [claim for claim, found in said.items() if {NOT_RUN} <= found <= {NOT_RUN, NOT_APPLICABLE}]
    left_out = [SHORTS.get(claim) or claim for claim in of_none] if len(of_none) < len(said) else []
    shown = table[~table["claim"].isin(of_none)] if left_out else table
    n_across = len(shown[["model", "method"]].drop_duplicates())
    footer = f"{run_footer(config)}; not run: {', '.join(left_out)}" if left_out else run_footer(config)
    return (_draw_claim_by_claim if n_across <= MOST_ACROSS else _draw_line_by_line)(shown, footer)


@paper_style
def _draw_claim_by_claim(table: pd.DataFrame, footer: str) -> Figure:
    """A line for each claim, a column for each model and method."""
    columns = list(dict.fromkeys(zip(table["model"], table["method"], strict=True)))
    write = _in_two_lines if len(columns) <= MOST_IN_TWO_LINES else _in_three_lines
    least = 0.36 if len(columns) <= MOST_IN_TWO_LINES else 0.46
    groups = _grouped(table)
    statements = {claim: _statement(table[table["claim"] == claim]) for claims in groups.values() for claim in claims}
    height = {claim: max(least, 0.06 + 0.115 * (text.count("\n") + 1)) for claim, text in statements.items()}
    tops, below = {}, 0.0
    for name, claims in groups.items():
        tops[name], below = below, below + HEADING
        for claim in claims:
            tops[claim], below = below, below + height[claim]
    figure = new_figure(TWO_COLUMNS, max(below, 0.4) + 1.0)
    axis = figure.subplots()
    axis.set_xlim(0, max(len(columns), 4))
    axis.set_ylim(below or 1, 0)
    for row in table.to_dict("records"):
        top, place = tops[row["claim"]], columns.index((row["model"], row["method"]))
        _write_cell(axis, (place, top, top + height[row["claim"]]), row, write(row))
    for name in groups:
        _write_heading(axis, tops[name] + HEADING / 2, name)
    middles = [tops[claim] + height[claim] / 2 for claim in statements]
    axis.set_yticks(middles, list(statements.values()), fontsize=6.2, linespacing=1.15)
    _name_columns(axis, columns)
    _finish(figure, axis)
    add_footer(figure, f"{footer}; effect and its 95% interval, as named in brackets")
    return figure


@paper_style
def _draw_line_by_line(table: pd.DataFrame, footer: str) -> Figure:
    """A line for each model and method, a column for each claim; what the claims say stands below."""
    groups = _grouped(table)
    claims = [claim for of_group in groups.values() for claim in of_group]
    height, tops, below, models = 0.27, {}, 0.0, []
    for model, of_model in table.groupby("model", sort=False):
        models.append((below, str(model)))
        below += HEADING
        for method in of_model["method"].unique():
            tops[model, method], below = below, below + height
    figure = new_figure(TWO_COLUMNS, below + 1.15 + 0.17 * len(claims))
    axis = figure.subplots()
    axis.set_xlim(0, max(len(claims), 1))
    axis.set_ylim(below or 1, 0)
    for row in table.to_dict("records"):
        top = tops[row["model"], row["method"]]
        _write_cell(axis, (claims.index(row["claim"]), top, top + height), row, _in_small(row))
    for top, model in models:
        _write_heading(axis, top + HEADING / 2, shorten(model, 40))
    axis.set_yticks([top + height / 2 for top in tops.values()], [method for _, method in tops], fontsize=6.5)
    axis.xaxis.tick_top()
    names = ["\n".join(textwrap.wrap(SHORTS.get(claim) or claim, 11)) for claim in claims]
    axis.set_xticks(np.arange(len(claims)) + 0.5, names, fontsize=5.8, linespacing=1.1)
    first = 0
    for name, of_group in groups.items():
        style: dict[str, Any] = {"fontsize": 6.8, "ha": "left" if len(of_group) > 2 else "center", "fontweight": "bold"}
        axis.annotate(
            "\n".join(textwrap.wrap(name, 12 * len(of_group))),
            (first + (0.04 if len(of_group) > 2 else len(of_group) / 2), 1),
            (0, 30),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            **style,
        )
        if first:
            axis.axvline(first, color="0.2", linewidth=0.8)
        first += len(of_group)
    _finish(figure, axis)
    told = [_said(table[table["claim"] == claim].iloc[0]) for claim in claims]
    add_footer(figure, "\n".join([f"{footer}; in a cell the effect, below it its 95% interval", *told]))
    return figure


def _grouped(table: pd.DataFrame) -> dict[str, list[str]]:
    """The claims by who says so, the study first; those of others under their source."""
    sources = dict(zip(table["claim"], table["source"], strict=True))
    order = [*SOURCES, *dict.fromkeys(sources.values())]
    groups: dict[str, list[str]] = {}
    for claim, source in sorted(sources.items(), key=lambda item: order.index(item[1])):
        groups.setdefault(SOURCES.get(str(source), str(source)), []).append(claim)
    return groups


def _said(row: pd.Series) -> str:
    return f"{SHORTS.get(row['claim']) or row['claim']}: {row['statement']} Effect: {row['what']}."


def _finish(figure: Figure, axis: Axes) -> None:
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    keys = [
        Patch(facecolor=FILLS[decision], edgecolor="0.6", linewidth=0.4, label=f"{mark}  {decision}")
        for decision, mark in MARKS.items()
    ]
    figure.legend(handles=keys, loc="outside upper left", ncols=len(keys), borderaxespad=0.3)


def _write_heading(axis: Axes, height: float, text: str) -> None:
    axis.text(0.02, height, text, fontsize=6.8, fontweight="bold", va="center", in_layout=False)


def _statement(rows: pd.DataFrame) -> str:
    """The claim over as many lines as it takes, and below it what its effect is."""
    # A character at 6.2 points is about 0.045 inches wide on average.
    width = int(STATEMENT_WIDTH / 0.045)
    statement, what = rows["statement"].iloc[0], rows["what"].iloc[0]
    return "\n".join([*textwrap.wrap(statement, width, break_on_hyphens=False), *textwrap.wrap(f"[{what}]", width)])


def _write_cell(axis: Axes, cell: Cell, row: Row, lines: Lines) -> None:
    """Lines of text on the colour of the verdict, one below the other about the middle; the first is bold."""
    column, top, bottom = cell
    ground: dict[str, Any] = {"facecolor": FILLS[row["verdict"]], "edgecolor": "none"}
    axis.add_patch(Rectangle((column + 0.02, top + 0.015), 0.96, bottom - top - 0.03, **ground))
    leading = min(LEADING, (bottom - top) / 2.4)
    middle = (top + bottom) / 2 - leading * (len(lines) - 1) / 2
    for number, (text, size) in enumerate(lines):
        style: dict[str, Any] = {"fontsize": size, "fontweight": "normal" if number else "bold", "in_layout": False}
        axis.text(
            column + 0.5, middle + leading * number, text, ha="center", va="center", color=INK[row["verdict"]], **style
        )


def _in_two_lines(row: Row) -> Lines:
    value, interval = effect(row["effect"], row["low"], row["high"])
    return [(_word(row), 6.2), (f"{value} {interval}".strip(), 5.6)]


def _in_three_lines(row: Row) -> Lines:
    value, interval = effect(row["effect"], row["low"], row["high"])
    return [(text, 5.3) for text in (_word(row), value, interval) if text]


def _in_small(row: Row) -> Lines:
    """In few characters: mark and effect, and the ends of the interval."""
    value, low, high = (_shorter(row[name]) for name in ("effect", "low", "high"))
    return [(f"{MARKS[row['verdict']]} {value}".strip(), 6.0), *([(f"{low}, {high}", 4.9)] if low and high else [])]


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


def _shorter(value: float) -> str:
    """`−.12`; nothing if there is no number."""
    if not np.isfinite(value):
        return ""
    return _short(value).replace("0.", ".", 1) if abs(value) < 0.995 else _short(value)


def _name_columns(axis: Axes, columns: list[tuple[str, str]]) -> None:
    """Methods above their columns, and above those the model that they share."""
    axis.xaxis.tick_top()
    names = [method for _, method in columns]
    places = np.arange(len(columns)) + 0.5
    axis.set_xticks(places, names, fontsize=6.5)
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
            (0, 14),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=6.8,
            **style,
        )
        if first:
            axis.axvline(first, color="0.2", linewidth=0.8)
