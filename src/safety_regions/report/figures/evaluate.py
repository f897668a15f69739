"""Do regions matter: refusals, degenerate answers, over-refusals and perplexity without them and without their
controls, for all models and methods.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy.stats import binomtest

from safety_regions.models.outcomes import RATES
from safety_regions.overlap.counts import STAGES
from safety_regions.report.figures.style import (
    COLOURS,
    MARKERS,
    TWO_COLUMNS,
    add_footer,
    new_figure,
    paper_style,
    save,
)
from safety_regions.report.names import IDS, Names
from safety_regions.report.numbers import shorten
from safety_regions.table_files import write_csv

PANELS = {
    "refusal_rate": "Harmful refused",
    "degenerate_rate": "Harmful degenerate",
    "over_refusal_rate": "Harmless refused",
    "perplexity_ratio": "Perplexity / intact",
}
LABELS = {
    "intact": "Intact model",
    "raw": "Without region",
    "refined": "Without refined region",
    "random": "Random, as many",
    "magnitude": "Random, as large",
    "perplexity": "Random, as damaging",
    "utility": "Utility region",
    "harmless": "Region of harmless prompts",
}
"""By condition; all but the first three are taken out instead of the refined region."""
CONTROL = {"markersize": 3.2, "markerfacecolor": "white", "zorder": 2}
MARKS: dict[str, dict[str, Any]] = {
    "intact": {"color": "black", "marker": "x", "markersize": 4, "zorder": 4},
    **{stage: {"color": COLOURS[stage], "zorder": 3, **MARKERS[stage]} for stage in STAGES},
    "random": {"color": "0.45", "marker": "o", **CONTROL},
    "magnitude": {"color": "0.45", "marker": "^", **CONTROL},
    "perplexity": {"color": "0.45", "marker": "D", **CONTROL},
    "utility": {"color": "#009E73", "marker": "v", **CONTROL},
    "harmless": {"color": "#CC79A7", "marker": "P", **CONTROL},
}
"""By condition: colour and form tell them apart."""
KEYS = ["model", "method", "condition", "seed"]


def write_evaluation(table: pd.DataFrame, q: float, output: Path, names: Names = IDS) -> None:
    """Write evaluate.pdf, .png, .csv with the numbers drawn, those at fraction q, and evaluate_sets.csv, the table
    itself.

    `table` has the columns `model` and `method` and those of each evaluate.csv, one below another.
    """
    at_q = table[table["dose"].isna() | table["dose"].eq(q)]
    drawn = drawn_table(at_q)
    save(draw_evaluation(names.table(drawn), names.table(at_q)), drawn, output, "evaluate")
    write_csv(table, output / "evaluate_sets.csv")


def drawn_table(table: pd.DataFrame) -> pd.DataFrame:
    """Means over the sets: one row per model, method, condition, and seed of a random region; perplexity divided by the
    intact model's too."""
    means = table.groupby(KEYS, sort=False, dropna=False, as_index=False)[
        ["share", "share_of_weights", *RATES, "perplexity"]
    ].mean()
    intact = means[means["condition"] == "intact"].set_index(["model", "method"])["perplexity"]
    of_model = intact.reindex(pd.MultiIndex.from_frame(means[["model", "method"]])).to_numpy()
    return means.assign(perplexity_ratio=means["perplexity"] / of_model)


@paper_style
def draw_evaluation(drawn: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """A block for each model and method, in it a line for each condition: intact, without the region before and after
    refinement, and without each control of the refined one. Whiskers are 95% intervals over prompts; of several draws
    the mean, and every draw as a small tick. `table` is what `drawn` was made of.
    """
    heights, names, below = _lines(drawn)
    # Many blocks stand closer, so that they stay on a page.
    figure = new_figure(TWO_COLUMNS, 0.95 + float(np.clip(8.0 / below, 0.06, 0.105)) * below)
    # Room for a whole mark at the end of one panel beside one at the beginning of the next.
    axes = figure.subplots(1, len(PANELS), sharey=True, gridspec_kw={"wspace": 0.1})
    for axis, (column, title) in zip(axes, PANELS.items(), strict=True):
        _draw_panel(axis, drawn, heights, column, _prompts(table, column))
        axis.set_title(title)
    axes[0].set_yticks(list(names), list(names.values()))
    axes[0].set_ylim(below, -0.6)
    set_ratio_axis(axes[-1], drawn["perplexity_ratio"])
    add_legend(figure, axes[:1])
    add_footer(figure, _footer(table))
    return figure


def add_legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """The conditions that are drawn in these panels, in the order of `LABELS`, above them."""
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    labels = [label for label in LABELS.values() if label in handles]
    figure.legend(
        [handles[label] for label in labels],
        labels,
        loc="outside upper left",
        ncols=4,
        borderaxespad=0.3,
        columnspacing=1.2,
    )


def _lines(drawn: pd.DataFrame) -> tuple[dict[tuple[str, str, str], float], dict[float, str], float]:
    """The height of each model, method and condition; what stands at which height beside the panels; and the end."""
    heights: dict[tuple[str, str, str], float] = {}
    names: dict[float, str] = {}
    below = 0.0
    for (model, method), rows in drawn.groupby(["model", "method"], sort=False):
        there = [condition for condition in LABELS if rows["condition"].eq(condition).any()]
        heights |= {(str(model), str(method), condition): below + line for line, condition in enumerate(there)}
        names[below + (len(there) - 1) / 2] = f"{shorten(str(model), 26)}\n{method}"
        below += len(there) + 1.2
    return heights, names, below - 0.6


def _prompts(table: pd.DataFrame, column: str) -> int:
    """How many prompts a rate is of; 0 for what is no rate."""
    asked = {"refusal_rate": "n_harmful", "degenerate_rate": "n_harmful", "over_refusal_rate": "n_harmless"}
    return int(table[asked[column]].max()) if column in asked else 0


def _draw_panel(
    axis: Axes, drawn: pd.DataFrame, heights: dict[tuple[str, str, str], float], column: str, n_prompts: int
) -> None:
    for (model, method, condition), height in heights.items():
        of = drawn["model"].eq(model) & drawn["method"].eq(method) & drawn["condition"].eq(condition)
        values = drawn.loc[of, column]
        values, mark = values[np.isfinite(values)], MARKS[condition]
        if values.empty:
            continue
        if len(values) > 1:
            style: dict[str, Any] = {"linestyle": "none", "marker": "|", "markersize": 3.5, "clip_on": False}
            axis.plot(values, [height] * len(values), color=mark["color"], alpha=0.45, markeredgewidth=0.6, **style)
        elif n_prompts:
            low, high = wilson(float(values.iloc[0]), n_prompts)
            axis.hlines(height, low, high, color=mark["color"], linewidth=0.8, alpha=0.8, zorder=1)
        axis.plot([values.mean()], [height], label=LABELS[condition], linestyle="none", clip_on=False, **mark)
    axis.set_xlim(0, 1)
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def wilson(rate: float, n: int) -> tuple[float, float]:
    """The 95% interval of a rate over n prompts: Wilson's, 1927."""
    found = binomtest(round(rate * n), n).proportion_ci(0.95, method="wilson")
    return min(float(found.low), rate), max(float(found.high), rate)


def set_ratio_axis(axis: Axes, ratios: pd.Series) -> None:
    """Of perplexities over the intact one. Logarithmic, since a model that lost the wrong weights may be thousands of
    times more surprised.
    """
    drawn = ratios[np.isfinite(ratios) & (ratios > 0)]
    low, high = min(0.8, drawn.min()) / 1.1, max(1.8, drawn.max()) * 1.1
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    if high < 30:
        named = (0.5, 0.7, 1, 1.2, 1.5, 2, 3) if high < 4 else (0.2, 0.5, 1, 2, 5, 10, 20)
        ticks = [tick for tick in named if low <= tick <= high]
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())


def _footer(table: pd.DataFrame) -> str:
    sets = ", ".join(dict.fromkeys(table["set"]))
    mean = " (mean)" if table["set"].nunique() > 1 else ""
    n_harmful, n_harmless = (int(table[column].max()) for column in ("n_harmful", "n_harmless"))
    return (
        f"regions of {sets}{mean}; {n_harmful} harmful and {n_harmless} harmless prompts; "
        "whiskers: 95% intervals over prompts; small ticks: draws; last five: taken out instead of the refined region"
    )
