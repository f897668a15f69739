"""Do regions matter: refusals, degenerate answers, over-refusals and perplexity without them and without their
controls, for all models and methods.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

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
CONTROL = {"markersize": 4.0, "markerfacecolor": "none", "zorder": 2}
MARKS: dict[str, dict[str, Any]] = {
    "intact": {"color": "black", "marker": "x", "markersize": 4, "zorder": 4},
    **{stage: {"color": COLOURS[stage], "zorder": 3, **MARKERS[stage]} for stage in STAGES},
    "random": {"color": "0.45", "marker": "|", "markersize": 4.5, "markeredgewidth": 1.1, "zorder": 2},
    "magnitude": {"color": "0.45", "marker": "^", **CONTROL},
    "perplexity": {"color": "0.45", "marker": "D", **CONTROL},
    "utility": {"color": "#009E73", "marker": "v", **CONTROL},
    "harmless": {"color": "#CC79A7", "marker": "P", **CONTROL},
}
"""By condition: colour and form tell them apart."""
KEYS = ["model", "method", "condition", "seed"]


def write_evaluation(table: pd.DataFrame, q: float, output: Path) -> None:
    """Write evaluate.pdf, .png, .csv with the numbers drawn, those at fraction q, and evaluate_sets.csv, the table
    itself.

    `table` has the columns `model` and `method` and those of each evaluate.csv, one below another.
    """
    at_q = table[table["dose"].isna() | table["dose"].eq(q)]
    drawn = drawn_table(at_q)
    save(draw_evaluation(drawn, at_q), drawn, output, "evaluate")
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
    """A dot plot, one line per model and method: intact, without the region before and after refinement, and without
    each control of the refined one. `table` is what `drawn` was made of, for the footer.
    """
    lines = drawn[["model", "method"]].drop_duplicates().reset_index(drop=True)
    figure = new_figure(TWO_COLUMNS, 1.15 + 0.19 * len(lines) + 0.1 * lines["model"].nunique())
    axes = figure.subplots(1, len(PANELS), sharey=True)
    groups = (lines["model"] != lines["model"].shift()).cumsum()
    heights = {(row.model, row.method): row.Index + 0.5 * int(groups[row.Index]) for row in lines.itertuples()}
    for axis, (column, title) in zip(axes, PANELS.items(), strict=True):
        _draw_panel(axis, drawn, heights, column)
        axis.set_title(title)
    axes[0].set_yticks(list(heights.values()), [f"{shorten(model, 26)}  {method}" for model, method in heights])
    axes[0].set_ylim(max(heights.values()) + 0.7, min(heights.values()) - 0.7)
    set_ratio_axis(axes[-1], drawn["perplexity_ratio"])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4, borderaxespad=0.3, columnspacing=1.2)
    add_footer(figure, _footer(table))
    return figure


def _draw_panel(axis: Axes, drawn: pd.DataFrame, heights: dict[tuple[str, str], float], column: str) -> None:
    for condition, label in LABELS.items():
        rows = drawn[drawn["condition"] == condition]
        if len(rows):
            places = [heights[key] for key in zip(rows["model"], rows["method"], strict=True)]
            axis.plot(rows[column], places, label=label, linestyle="none", clip_on=False, **MARKS[condition])
    axis.set_xlim(0, 1)
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


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
        "last five: taken out instead of the refined region"
    )
