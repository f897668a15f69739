"""A table by its columns, and how the page (HTML) and the summary (Markdown) write the values of each kind."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from safety_regions.report.numbers import UNDEFINED, percent, three_decimals, with_interval, words
from safety_regions.text import markdown_table

REFINEMENT = {"raw": "before", "refined": "after"}
TAKEN_OUT = {
    "intact": "nothing",
    "raw": "the region",
    "refined": "the refined region",
    "random": "random, as many",
    "magnitude": "random, as large",
    "perplexity": "random, as damaging",
    "utility": "utility region",
    "harmless": "region of harmless prompts",
}
"""What a model is without, by condition of an evaluation; all but the first three are controls of the third."""


class BesideFloor(NamedTuple):
    """An IoU and its chance floor."""

    value: float
    floor: float


class WithInterval(NamedTuple):
    """An estimate and its interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


class OverDraws(NamedTuple):
    """What a model does without something, and of several draws of it the least and most; then the value is their
    mean.
    """

    value: float
    ends: tuple[float, float] | None


class Bar(NamedTuple):
    """A value with its interval on a line from 0 to 1; positions in percent of the line, cut off at its ends."""

    value: float
    low: float
    high: float


class Strip(NamedTuple):
    """An IoU before and after refinement, and its chance floor before."""

    before: WithInterval
    after: WithInterval
    chance: float


class DrawnStrip(NamedTuple):
    """A `Strip` on a line from 0 to 1, in percent of the line; None for what is undefined."""

    before: Bar | None
    after: Bar | None
    chance: float | None


@dataclass(frozen=True)
class Kind:
    """What the values of a column are, by how the page and the summary write one."""

    page: Callable[[Any], str | Bar | DrawnStrip]
    summary: Callable[[Any], str] = str


@dataclass(frozen=True)
class Column:
    """A column by its kind and its headings; without one for the summary it stands in the page alone."""

    kind: Kind
    page: str
    summary: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows of values, one for each column; the first `heads` of each row name what the row is about."""

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    heads: int
    file: str = ""
    """The CSV beside the page that has all of it."""

    @property
    def title(self) -> str:
        """The beginning of the caption."""
        return re.split(r"[.;:,] ", self.caption)[0].rstrip(".")

    def cells(self) -> list[list[str | Bar | DrawnStrip]]:
        """The rows as the page has them."""
        kinds = [column.kind for column in self.columns]
        return [[kind.page(value) for kind, value in zip(kinds, row, strict=True)] for row in self.rows]

    def markdown(self) -> list[str]:
        """The lines of the summary."""
        shown = [(index, column) for index, column in enumerate(self.columns) if column.summary is not None]
        rows = [[column.kind.summary(row[index]) for index, column in shown] for row in self.rows]
        return markdown_table([str(column.summary) for _, column in shown], rows)


def _beside_floor(pair: BesideFloor) -> str:
    return UNDEFINED if pd.isna(pair.value) else f"{words(float(pair.value))} ({words(float(pair.floor))})"


def _over_draws(number: Callable[[float], str], to: str, region: OverDraws) -> str:
    value = number(float(region.value))
    return value if region.ends is None else f"{value} ({to.join(dict.fromkeys(map(number, region.ends)))})"


def _bar(place: WithInterval) -> str | Bar:
    return _placed(place) or ""


def _placed(estimate: WithInterval) -> Bar | None:
    if pd.isna(estimate.value):
        return None
    return Bar(*(_percent_of_line(estimate.value if pd.isna(end) else end) for end in estimate))


def _percent_of_line(value: float) -> float:
    return round(100 * min(max(float(value), 0.0), 1.0), 1)


def _strip(strip: Strip) -> DrawnStrip:
    chance = None if pd.isna(strip.chance) else _percent_of_line(strip.chance)
    return DrawnStrip(_placed(strip.before), _placed(strip.after), chance)


def _answer(value: bool | None) -> str:
    return {None: "", True: "yes", False: "no"}[value]


NAME = Kind(str)
STAGE = Kind(lambda stage: REFINEMENT[stage])
CONDITION = Kind(lambda condition: TAKEN_OUT[condition])
NUMBER = Kind(words, three_decimals)
COUNT = Kind(words, lambda count: UNDEFINED if pd.isna(count) else f"{count:g}")
IOU = Kind(_beside_floor, lambda pair: f"{three_decimals(pair.value)} ({three_decimals(pair.floor)})")
INTERVAL = Kind(
    lambda estimate: with_interval(*estimate),
    lambda estimate: "{} ({} to {})".format(*map(three_decimals, estimate)),
)
PLACE = Kind(_bar)
STRIP = Kind(_strip)
SHARE = Kind(
    lambda share: "" if pd.isna(share) else percent(share),
    lambda share: "" if pd.isna(share) else three_decimals(share),
)
RATE = Kind(partial(_over_draws, words, " to "), partial(_over_draws, "{:.2f}".format, "–"))
PERPLEXITY = Kind(partial(_over_draws, words, " to "), partial(_over_draws, "{:.3g}".format, "–"))
ANSWER = Kind(_answer, _answer)
