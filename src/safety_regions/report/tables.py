"""The tables of the page: what stands in which cell, as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from safety_regions.report.numbers import percent, with_interval, words

STAGES = {"raw": "before", "refined": "after"}
WHAT = {"raw": "before refinement", "refined": "after refinement", "intact": "intact"}


@dataclass(frozen=True)
class Bar:
    """A value with its interval on a line from 0 to 1; positions in percent of the line, cut off at its ends."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first `heads` of each row name what the row is about."""

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Bar]]
    heads: int
    file: str = ""
    """The CSV beside the page that has all of it."""


def estimates_table(table: pd.DataFrame) -> Table:
    """IoU between sets, floor, ceiling, and the place between these, with 95% intervals."""
    rows: list[list[str | Bar]] = []
    for row in table.to_dict("records"):
        place = [row["place"], row["place_low"], row["place_high"]]
        texts = [
            with_interval(*(row[f"{name}{end}"] for end in ("", "_low", "_high")))
            for name in ("iou", "ceiling", "place")
        ]
        other = [words(row.get("seeds_iou")), words(row.get("size_matched_iou"))]
        rows.append(
            [
                *_about(row),
                texts[0],
                words(row["floor"]),
                texts[1],
                texts[2],
                _bar(*place),
                *other,
                words(row["n_sets"]),
            ]
        )
    columns = (
        "model",
        "method",
        "refinement",
        "IoU between sets",
        "floor",
        "ceiling",
        "place",
        "0 to 1",
        "IoU of two seeds",
        "raw IoU at that size",
        "sets",
    )
    caption = (
        "IoU between sets and what it lies between: the floor is chance (random regions of the same sizes), the ceiling the IoU of "
        "two disjoint halves of one set. Place 0: as alike as chance; 1: as alike as two samples of one set. In brackets 95% intervals."
    )
    return Table("estimates", caption, columns, rows, 3, "estimates.csv")


def confounds_table(table: pd.DataFrame) -> Table:
    """Rank correlation of IoU with what pairs of sets have in common."""
    rows = [
        [*_about(row), str(row["covariate"]), words(row["rho"]), words(row["p_value"]), words(row["n_pairs"])]
        for row in table.to_dict("records")
    ]
    columns = (
        "model",
        "method",
        "refinement",
        "what pairs share or differ in",
        "rank correlation",
        "p (permuted sets)",
        "pairs",
    )
    caption = "Does something else than harm move the IoU? Spearman's correlation over pairs of sets, p by permuting the sets' labels."
    return Table("confounds", caption, columns, rows, 4, "confounds.csv")


def responses_table(table: pd.DataFrame) -> Table:
    """IoU where only prompts or only responses change."""
    rows = [
        [*_about(row), str(row["comparison"]), words(row["iou"]), words(row["floor"]), words(row["n_pairs"])]
        for row in table.to_dict("records")
    ]
    columns = ("model", "method", "refinement", "comparison", "IoU", "floor", "pairs")
    caption = "Do regions follow the prompts or the responses? Mean IoU of regions that have one of them in common."
    return Table("responses", caption, columns, rows, 4, "responses.csv")


def headline_rows(table: pd.DataFrame) -> Table:
    """Mean IoU over pairs and of all sets together, with the floor of each."""
    cells = [(f"{n}iou_{stage}", f"{n}floor_{stage}") for n in ("", "nway_") for stage in STAGES]
    rows = [
        [row["model"], row["method"], *(_beside_floor(row[iou], row[floor]) for iou, floor in cells)]
        for row in table.to_dict("records")
    ]
    columns = ("model", "method", "pairs, before", "pairs, after", "all sets, before", "all sets, after")
    caption = "Mean IoU over pairs of safety sets, and IoU of all of them together; in brackets the chance floor."
    return Table("headline", caption, columns, rows, 2, "headline.csv")


def evaluation_rows(table: pd.DataFrame) -> Table:
    """Each region beside the range over random regions of its size."""
    rows = []
    for (model, method, name), of in table.groupby(["model", "method", "set"], sort=False):
        for row in of[of["condition"].isin(WHAT)].to_dict("records"):
            condition = row["condition"]
            controls = of[of["condition"] == f"random_{condition}"]
            cells = [
                _beside_random(row[column], controls[column])
                for column in ("refusal_rate", "over_refusal_rate", "perplexity")
            ]
            share = "" if pd.isna(row["share_of_weights"]) else percent(row["share_of_weights"])
            more = "" if condition == "intact" else "yes" if str(row["removes_more_than_random"]) == "True" else "no"
            rows.append([model, method, name, WHAT[condition], share, *cells, more])
    columns = (
        "model",
        "method",
        "set",
        "region taken out",
        "share of weights",
        "harmful refused",
        "harmless refused",
        "perplexity",
        "more than random",
    )
    caption = (
        "Share of held-out harmful and of harmless prompts refused, and perplexity, of the model without the region; in brackets the "
        "range over random regions of the same size in every matrix. Last: whether it removes more refusals than any of these."
    )
    return Table("evaluate", caption, columns, rows, 4, "evaluate.csv")


def across_rows(table: pd.DataFrame) -> Table:
    """Means over the safety sets, for each pair of methods."""
    means = table.groupby(["model", "a", "b", "stage"], sort=False)[["iou", "floor_iou", "overlap_coefficient"]].mean()
    rows = []
    for model, a, b in dict.fromkeys(key[:3] for key in means.index):
        cells = []
        for stage in STAGES:
            row = means.loc[(model, a, b, stage)]
            cells += [_beside_floor(row["iou"], row["floor_iou"]), words(float(row["overlap_coefficient"]))]
        rows.append([model, f"{a}, {b}", *cells])
    columns = ("model", "methods", "IoU before", "coefficient before", "IoU after", "coefficient after")
    caption = "Regions of different methods on the same set, by the weights they own: mean IoU over the safety sets, in brackets the chance floor, and the overlap coefficient."
    return Table("across", caption, columns, rows, 2, "across.csv")


def plain(name: str, caption: str, table: pd.DataFrame, heads: int, file: str = "") -> Table:
    """A table as it is."""
    rows = [[words(value) for value in row] for row in table.itertuples(index=False)]
    return Table(name, caption, [str(column).replace("_", " ") for column in table.columns], rows, heads, file)


def _about(row: dict[Any, Any]) -> list[str]:
    return [row["model"], row["method"], STAGES.get(row["stage"], row["stage"])]


def _bar(value: Any, low: Any, high: Any) -> str | Bar:
    if pd.isna(value):
        return ""
    ends = [value if pd.isna(end) else end for end in (low, high)]
    return Bar(*(round(100 * min(max(float(at), 0.0), 1.0), 1) for at in (value, *ends)))


def _beside_floor(value: Any, floor: Any) -> str:
    return "–" if pd.isna(value) else f"{words(float(value))} ({words(float(floor))})"


def _beside_random(value: Any, controls: pd.Series) -> str:
    text = words(float(value))
    if not len(controls):
        return text
    ends = dict.fromkeys(words(float(end)) for end in (controls.min(), controls.max()))
    return f"{text} ({' to '.join(ends)})"
