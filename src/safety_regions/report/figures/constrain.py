"""Are refusals kept in fine-tuning: as the benign task is learned, by what is frozen; and by what is put back after
it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safety_regions.claims.constrained import ALIGNED, NOTHING, REWOUND
from safety_regions.report.constrained import in_words, last, over_seeds
from safety_regions.report.figures.style import TWO_COLUMNS, add_footer, new_figure, paper_style, save
from safety_regions.report.names import IDS, Names
from safety_regions.report.numbers import shorten
from safety_regions.table_files import write_csv

# Okabe and Ito's palette; marker and colour belong to what is frozen, whatever else a run has.
LOOKS = {
    NOTHING: ("black", "x"),
    "region": ("#D55E00", "s"),
    "random": ("#0072B2", "o"),
    "magnitude": ("#56B4E9", "v"),
    "utility": ("#009E73", "^"),
    "harmless": ("#CC79A7", "D"),
    "only": ("#E69F00", "P"),
}
PANEL = 1.55
"""Height in inches."""


def write_constrained(rates: pd.DataFrame, moved: pd.DataFrame, output: Path, names: Names = IDS) -> None:
    """Write constrain.pdf, .png and .csv, the same of rewound where weights were put back, and the tables themselves,
    constrain_seeds.csv and constrain_moved.csv.

    `rates` and `moved` have the columns `model` and `method` and those of constrain.csv and moved.csv.
    """
    drawn = over_seeds(rates)
    on_the_way = drawn[~drawn["condition"].str.startswith(REWOUND)]
    save(draw_courses(names.table(on_the_way)), on_the_way, output, "constrain")
    if drawn["condition"].str.startswith(REWOUND).any():
        after = _after(drawn)
        save(draw_rewound(names.table(after)), after, output, "rewound")
    write_csv(rates, output / "constrain_seeds.csv")
    write_csv(moved, output / "constrain_moved.csv")


@paper_style
def draw_courses(drawn: pd.DataFrame) -> Figure:
    """A panel for each model and method by each learning rate: harmful prompts refused against the held-out benign
    loss, a line for what is frozen from the aligned model to the last step; bands from the least to the most of the
    seeds. `drawn` is of `over_seeds`.
    """
    figure, panels = _panels(drawn)
    for axis, rows in panels:
        aligned = rows[rows["condition"] == ALIGNED].head(1)
        for condition in _frozen(rows):
            of = rows[(rows["condition"] == condition) & rows["step"].notna()].sort_values("step")
            line = pd.concat([aligned, of])
            colour, marker = _look(condition)
            axis.plot(
                line["benign_loss"],
                line["refusal_rate"],
                color=colour,
                marker=marker,
                markersize=3.5,
                linewidth=0.9,
                label=in_words(condition),
                clip_on=False,
                zorder=3,
            )
            axis.vlines(
                line["benign_loss"], line["refusal_low"], line["refusal_high"], color=colour, linewidth=3, alpha=0.25
            )
        axis.set_ylim(0, 1)
        axis.grid(axis="y")
        axis.margins(x=0.08)
        spec = axis.get_subplotspec()
        if spec is not None and spec.is_last_row():
            axis.set_xlabel("Held-out benign loss (nats per token)")
    figure.supylabel("Harmful prompts refused", fontsize=7)
    _add_legend(figure)
    add_footer(figure, _footer(drawn))
    return figure


@paper_style
def draw_rewound(drawn: pd.DataFrame) -> Figure:
    """As bars: harmful prompts refused after a training with nothing frozen, and with weights put back; whiskers from
    the least to the most of the seeds, a dashed line at the aligned model.
    """
    figure, panels = _panels(drawn)
    for axis, rows in panels:
        bars = rows[rows["condition"] != ALIGNED].reset_index(drop=True)
        for place, bar in bars.iterrows():
            whisker = [[bar["refusal_rate"] - bar["refusal_low"]], [bar["refusal_high"] - bar["refusal_rate"]]]
            axis.bar(
                int(str(place)),
                bar["refusal_rate"],
                color=_look(bar["condition"])[0],
                width=0.7,
                yerr=whisker,
                error_kw={"elinewidth": 0.8, "ecolor": "0.35"},
                label=in_words(bar["condition"]),
            )
        for height in rows["refusal_rate"][rows["condition"] == ALIGNED][:1]:
            axis.axhline(height, color="black", linestyle=(0, (4, 2)), linewidth=0.8, label="aligned model")
        axis.set_xticks([])
        axis.set_ylim(0, 1)
    figure.supylabel("Harmful prompts refused", fontsize=7)
    _add_legend(figure)
    add_footer(figure, _footer(drawn))
    return figure


def _panels(drawn: pd.DataFrame) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """A figure with a panel for each model and method, below each other, by each learning rate."""
    lines, rates = drawn[["model", "method"]].drop_duplicates(), sorted(drawn["learning_rate"].unique())
    figure = new_figure(TWO_COLUMNS, 0.75 + PANEL * len(lines))
    axes = np.atleast_2d(figure.subplots(len(lines), len(rates), sharey=True, squeeze=False))
    panels = []
    for row, (model, method) in enumerate(lines.itertuples(index=False)):
        for column, rate in enumerate(rates):
            axis = axes[row, column]
            axis.set_title(f"{shorten(model, 26)}  {method}, rate {rate:g}", fontsize=7)
            of = drawn["model"].eq(model) & drawn["method"].eq(method) & drawn["learning_rate"].eq(rate)
            panels.append((axis, drawn[of]))
    return figure, panels


def _after(drawn: pd.DataFrame) -> pd.DataFrame:
    """What is asked after the last step: with nothing frozen, and with weights put back; and the aligned model."""
    asked = drawn["condition"].isin((ALIGNED, NOTHING)) | drawn["condition"].str.startswith(REWOUND)
    return last(drawn[asked])


def _frozen(rows: pd.DataFrame) -> list[str]:
    return [condition for condition in rows["condition"].unique() if condition != ALIGNED]


def _look(condition: str) -> tuple[str, str]:
    what = condition.removeprefix(REWOUND).rpartition("_")[0] or "region"
    return LOOKS[NOTHING] if condition == NOTHING else LOOKS.get(what, ("0.5", "."))


def _add_legend(figure: Figure) -> None:
    known: dict[str, Any] = {}
    for axis in figure.axes:
        known |= {label: handle for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(
        known.values(), known.keys(), loc="outside upper left", ncols=len(known), borderaxespad=0.3, fontsize=6.5
    )


def _footer(drawn: pd.DataFrame) -> str:
    return f"means and range of {int(drawn['n_seeds'].max())} seeds of training; full tables in constrain_seeds.csv"
