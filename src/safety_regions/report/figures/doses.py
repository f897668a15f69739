"""What becomes of harmful prompts as more of a region is taken out, against the damage that this does."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safety_regions.report.figures.evaluate import LABELS, MARKS, add_legend, set_ratio_axis
from safety_regions.report.figures.style import TWO_COLUMNS, add_footer, new_figure, paper_style, save
from safety_regions.report.names import IDS, Names
from safety_regions.report.numbers import percent

PANELS = {"refusal_rate": "Refused", "degenerate_rate": "Degenerate", "answer_rate": "Answered"}
KEYS = ["model", "method", "condition", "dose"]


def write_doses(table: pd.DataFrame, output: Path, names: Names = IDS) -> None:
    """Write `<model>.doses.pdf`, .png and .csv of every model.

    `table` has the columns `model` and `method` and those of each evaluate.csv, one below another.
    """
    for model, of_model in table.groupby("model", sort=False):
        drawn = doses_table(of_model)
        save(draw_doses(names.table(drawn), names.table(of_model)), drawn, output, f"{model}.doses")


def doses_table(table: pd.DataFrame) -> pd.DataFrame:
    """Means over sets and draws: one row per method, condition and dose; perplexity divided by the intact model's."""
    intact = table[table["condition"] == "intact"].groupby(["model", "method"], sort=False)["perplexity"].mean()
    of_model = intact.reindex(pd.MultiIndex.from_frame(table[["model", "method"]])).to_numpy()
    ratios = table.assign(perplexity_ratio=table["perplexity"] / of_model)
    columns = ["share", *PANELS, "perplexity_ratio"]
    return ratios.groupby(KEYS, sort=False, dropna=False, as_index=False)[columns].mean()


@paper_style
def draw_doses(drawn: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """A row for each method, a column for each outcome; a line for each condition, from the intact model on through its
    doses. `table` is what `drawn` was made of, for the footer.
    """
    methods = list(dict.fromkeys(drawn["method"]))
    figure = new_figure(TWO_COLUMNS, 0.9 + 1.35 * len(methods))
    axes = figure.subplots(len(methods), len(PANELS), sharey=True, sharex="row", squeeze=False)
    for (row, method), (column, outcome) in product(enumerate(methods), enumerate(PANELS)):
        axis, of_method = axes[row, column], drawn[drawn["method"] == method]
        _draw_panel(axis, of_method, outcome)
        set_ratio_axis(axis, of_method["perplexity_ratio"])
        if column == 0:
            axis.set_ylabel(f"{method}\nshare of prompts")
        if row == 0:
            axis.set_title(PANELS[outcome])
        if row == len(methods) - 1:
            axis.set_xlabel("Perplexity / intact")
    add_legend(figure, axes.flat)
    add_footer(figure, _footer(table))
    return figure


def _draw_panel(axis: Axes, drawn: pd.DataFrame, outcome: str) -> None:
    intact = drawn[drawn["condition"] == "intact"]
    for condition, label in LABELS.items():
        rows = drawn[drawn["condition"] == condition].sort_values("dose")
        # A perplexity that is not finite has no place on the axis.
        rows = pd.concat([intact, rows]) if condition != "intact" else rows
        rows = rows[np.isfinite(rows["perplexity_ratio"]) & (rows["perplexity_ratio"] > 0)]
        if len(rows) > (condition != "intact"):
            style = {"linewidth": 0.8} if condition != "intact" else {"linestyle": "none"}
            begin = 0 if condition == "intact" else 1
            axis.plot(
                rows["perplexity_ratio"],
                rows[outcome],
                label=label,
                markevery=slice(begin, None),
                clip_on=False,
                **(MARKS[condition] | style),
            )
    axis.set_ylim(0, 1)
    axis.grid(axis="y")


def _footer(table: pd.DataFrame) -> str:
    sets = ", ".join(dict.fromkeys(table["set"]))
    doses = ", ".join(percent(dose) for dose in sorted(table["dose"].dropna().unique()))
    mean = " (mean)" if table["set"].nunique() > 1 else ""
    return (
        f"{table['model'].iloc[0]}; regions of {sets}{mean} at {doses} of the elements; "
        f"{int(table['n_harmful'].max())} harmful prompts; last five: taken out instead of the refined region"
    )
