"""Regions of one model before and after its alignment, over the fraction q, beside two halves of one set."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from safety_regions.overlap.counts import STAGES
from safety_regions.report.figures.headline import run_footer
from safety_regions.report.figures.style import TITLES, TWO_COLUMNS, add_footer, new_figure, paper_style, save
from safety_regions.report.names import IDS, Names
from safety_regions.report.numbers import UNDEFINED, percent, shorten

CHANGE = "#009E73"
LINES: dict[str, dict[str, Any]] = {
    "crossed": {"color": CHANGE, "marker": "o", "label": "A half before, the other half after"},
    "iou": {"color": CHANGE, "linestyle": (0, (4, 2)), "label": "The same prompts before and after"},
    "ceiling_before": {"color": "0.55", "marker": "^", "label": "Two halves before alignment"},
    "ceiling_after": {"color": "0.15", "marker": "v", "label": "Two halves after alignment"},
    "floor": {"color": "0.6", "linestyle": (0, (1.2, 1.4)), "label": "Chance"},
}
"""Okabe and Ito's green: refinement has two others of their colours. Markers and dashes tell lines apart in grey."""


def write_alignment(rows: pd.DataFrame, config: dict[str, Any], output: Path, names: Names = IDS) -> None:
    """Write alignment.pdf, .png and .csv: the rows of `safety_regions.claims.alignment`."""
    save(draw_alignment(names.table(rows), names.config(config)), rows, output, "alignment")


@paper_style
def draw_alignment(table: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """A row of panels for each model and stage, a column for each method: IoU over a logarithmic q, with a 95% band
    around that of regions without a common prompt. The grey line is the q of the headline.
    """
    lines = list(dict.fromkeys(zip(table["model"], table["base"], strict=True)))
    methods = list(dict.fromkeys(table["method"]))
    shape = (len(STAGES) * len(lines), len(methods))
    figure = new_figure(TWO_COLUMNS, 1.1 + 1.35 * shape[0])
    axes = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
    panels = [(model, base, stage) for model, base in lines for stage in STAGES]
    for row, (model, base, stage) in zip(axes, panels, strict=True):
        row[0].set_ylabel(f"{shorten(model, 26)}\n{TITLES[stage].lower()}")
        of = table[table["model"].eq(model) & table["base"].eq(base) & table["stage"].eq(stage)]
        for axis, method in zip(row, methods, strict=True):
            _draw_panel(axis, of[of["method"] == method].sort_values("q"), config["thresholds"]["q"])
    for axis, method in zip(axes[0], methods, strict=True):
        axis.set_title(method)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=3, borderaxespad=0.3)
    figure.supylabel("IoU", fontsize=8)
    before = "; ".join(f"{model} before alignment: {base}" for model, base in lines)
    add_footer(
        figure,
        f"{run_footer(config)}; over q, the fraction that regions hold; {before}; band: 95% interval; grey: q; "
        f"{UNDEFINED}: not defined",
    )
    return figure


def _draw_panel(axis: Axes, rows: pd.DataFrame, headline_q: float) -> None:
    q = rows["q"].to_numpy(float)
    ends = sorted({*q, headline_q})
    axis.set_xscale("log")
    axis.set_xlim(0.8 * ends[0], 1.25 * ends[-1])
    axis.xaxis.set_minor_locator(NullLocator())
    ticks = sorted({ends[0], headline_q, ends[-1]})
    axis.set_xticks(ticks, [percent(tick) for tick in ticks])
    axis.axvline(headline_q, color="0.8", linewidth=0.8, zorder=0)
    axis.fill_between(q, rows["crossed_low"], rows["crossed_high"], color=CHANGE, alpha=0.2, linewidth=0)
    for column, look in LINES.items():
        axis.plot(q, rows[column], markersize=3, linewidth=1, clip_on=False, **look)
    if np.isnan(rows[list(LINES)].to_numpy(float)).all():
        axis.text(0.5, 0.5, UNDEFINED, transform=axis.transAxes, ha="center", va="center")
    axis.set_ylim(0, 1)
    axis.grid(axis="y")
