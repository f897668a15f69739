"""Are refusals kept in fine-tuning: as the benign task is learned, by what is frozen; and by what is put back after
it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from safety_regions.claims.constrained import ALIGNED, NOTHING, REWOUND
from safety_regions.planning.recipes.constrain import ALL_BUT, Mask
from safety_regions.report.constrained import in_words, last, only_trained, over_seeds
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
    "only_random": ("0.45", "*"),
}
ASKED_OF_ONLY = {"refusal_rate": "Harmful prompts refused", "benign_loss": "Held-out benign loss"}
PANEL = 1.55
"""Height in inches."""
LEAST_SPAN = 0.25
"""Of the axis of refusals: no noise fills a panel."""
BESIDE = 4.5
"""Points from the marks of a condition to those of the next one: they would hide one another."""


def write_constrained(rates: pd.DataFrame, moved: pd.DataFrame, output: Path, names: Names = IDS) -> None:
    """Write constrain.pdf, .png and .csv, the same of rewound where weights were put back and of only where nothing but
    regions of several sizes was trained, and the tables themselves, constrain_seeds.csv and constrain_moved.csv.

    `rates` and `moved` have the columns `model` and `method` and those of constrain.csv and moved.csv.
    """
    drawn = over_seeds(rates)
    at_other_fractions = drawn["condition"].map(lambda condition: Mask.parse(condition).at is not None)
    on_the_way = drawn[~drawn["condition"].str.startswith(REWOUND) & ~at_other_fractions]
    save(draw_courses(names.table(on_the_way)), on_the_way, output, "constrain")
    if drawn["condition"].str.startswith(REWOUND).any():
        after = _after(drawn)
        save(draw_rewound(names.table(after)), after, output, "rewound")
    only = only_trained(drawn)
    if len(only):
        save(draw_only(names.table(only)), only, output, "only")
    write_csv(rates, output / "constrain_seeds.csv")
    write_csv(moved, output / "constrain_moved.csv")


@paper_style
def draw_courses(drawn: pd.DataFrame) -> Figure:
    """A panel for each model and method by each learning rate: harmful prompts refused against the held-out benign
    loss, a line for what is frozen from the aligned model to the last step; bands from the least to the most of the
    seeds. `drawn` is of `over_seeds`.
    """
    figure, panels = _panels(drawn)
    ends = _ends(drawn)
    for axis, rows in panels:
        aligned = rows[rows["condition"] == ALIGNED].head(1)
        frozen = _frozen(rows)
        for place, condition in enumerate(frozen):
            of = rows[(rows["condition"] == condition) & rows["step"].notna()].sort_values("step")
            line = pd.concat([aligned, of])
            colour, marker = _look(condition)
            (marks,) = axis.plot(
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
            ranges = axis.vlines(
                line["benign_loss"], line["refusal_low"], line["refusal_high"], color=colour, linewidth=3, alpha=0.25
            )
            # Only now: the limits follow from the numbers alone.
            aside = (place - (len(frozen) - 1) / 2) * BESIDE / 72
            for drawing in (marks, ranges):
                drawing.set_transform(axis.transData + ScaledTranslation(aside, 0, figure.dpi_scale_trans))
        axis.set_ylim(*ends)
        axis.grid(axis="y")
        axis.margins(x=0.08)
        spec = axis.get_subplotspec()
        if spec is not None and spec.is_last_row():
            axis.set_xlabel("Held-out benign loss (nats per token)")
    figure.supylabel("Harmful prompts refused", fontsize=7)
    _add_legend(figure)
    add_footer(figure, f"{_footer(drawn)}; marks of one loss stand side by side")
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


@paper_style
def draw_only(drawn: pd.DataFrame) -> Figure:
    """For each model and method, by each learning rate, two panels over the share of the weights that is trained:
    harmful prompts refused, and the held-out benign loss. A line for regions before and after refinement and for as
    many random elements, from the least to the most of the seeds; dashed the aligned model, dotted nothing frozen.
    `drawn` is of `safety_regions.report.constrained.only_trained`.
    """
    lines, rates = drawn[["model", "method"]].drop_duplicates(), sorted(drawn["learning_rate"].unique())
    figure = new_figure(TWO_COLUMNS, 0.75 + len(ASKED_OF_ONLY) * PANEL * len(lines))
    axes = figure.subplots(len(ASKED_OF_ONLY) * len(lines), len(rates), sharey="row", sharex=True, squeeze=False)
    for place, (model, method) in enumerate(lines.itertuples(index=False)):
        rows = drawn[drawn["model"].eq(model) & drawn["method"].eq(method)]
        for number, (asked, words) in enumerate(ASKED_OF_ONLY.items()):
            row = axes[len(ASKED_OF_ONLY) * place + number]
            row[0].set_ylabel(words)
            for axis, rate in zip(row, rates, strict=True):
                axis.set_title(f"{shorten(model, 26)}  {method}, rate {rate:g}" if number == 0 else "", fontsize=7)
                _draw_only(axis, rows[rows["learning_rate"] == rate], asked)
    for axis in axes[-1]:
        axis.set_xlabel("Share of the weights that is trained")
    _add_legend(figure)
    add_footer(figure, _footer(drawn))
    return figure


def _draw_only(axis: Axes, rows: pd.DataFrame, asked: str) -> None:
    masks = rows["condition"].map(Mask.parse)
    for what, stage in dict.fromkeys((mask.what, mask.stage) for mask in masks if mask.what in ALL_BUT):
        of = rows[[(mask.what, mask.stage) == (what, stage) for mask in masks]].sort_values("share_trained")
        condition = Mask(what, stage).name
        colour, marker = _look(condition)
        dashes = (0, (3, 1.5)) if stage == "raw" else "-"
        label = in_words(condition).replace("all but", "trained:")
        axis.plot(
            of["share_trained"], of[asked], color=colour, marker=marker, markersize=3.5, linestyle=dashes, label=label
        )
        if asked == "refusal_rate":
            axis.vlines(
                of["share_trained"], of["refusal_low"], of["refusal_high"], color=colour, linewidth=3, alpha=0.25
            )
    for condition, line in ((ALIGNED, (0, (4, 2))), (NOTHING, (0, (1.2, 1.4)))):
        for height in rows[asked][rows["condition"] == condition][:1]:
            axis.axhline(height, color="black", linestyle=line, linewidth=0.8, label=in_words(condition))
    axis.set_xscale("log")
    axis.grid(axis="y")
    if asked == "refusal_rate":
        axis.set_ylim(0, 1)


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


def _ends(drawn: pd.DataFrame) -> tuple[float, float]:
    """The shares refused from the least to the most of any seed, with room for whole marks, within 0 and 1."""
    low, high = drawn["refusal_low"].min(), drawn["refusal_high"].max()
    room = max(0.1 * (high - low), (LEAST_SPAN - (high - low)) / 2)
    return max(low - room, 0.0), min(high + room, 1.0)


def _after(drawn: pd.DataFrame) -> pd.DataFrame:
    """What is asked after the last step: with nothing frozen, and with weights put back; and the aligned model."""
    asked = drawn["condition"].isin((ALIGNED, NOTHING)) | drawn["condition"].str.startswith(REWOUND)
    return last(drawn[asked])


def _frozen(rows: pd.DataFrame) -> list[str]:
    return [condition for condition in rows["condition"].unique() if condition != ALIGNED]


def _look(condition: str) -> tuple[str, str]:
    what = Mask.parse(condition.removeprefix(REWOUND)).what
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
