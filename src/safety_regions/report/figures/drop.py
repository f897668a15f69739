"""How much of the overlap refinement takes away, over the fraction p of the utility regions: whether a drop is large is
a choice of p.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from safety_regions.config.claims import Claims
from safety_regions.report.figures.headline import run_footer
from safety_regions.report.figures.style import (
    AFTER,
    BEFORE,
    TWO_COLUMNS,
    add_footer,
    new_figure,
    paper_style,
    save,
)
from safety_regions.report.numbers import UNDEFINED, percent, shorten

N_COLUMNS = 4


def write_drop(rows: pd.DataFrame, config: dict[str, Any], output: Path) -> None:
    """Write drop.pdf, .png and .csv: the rows of `safety_regions.claims.drop_curve`."""
    save(draw_drop(rows, config), rows, output, "drop")


@paper_style
def draw_drop(table: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """One panel per model and method: the drop over a logarithmic p with its interval, and the placebo's; the grey
    lines are the p of the headline and the drop that counts as one.
    """
    panels = list(table[["model", "method"]].drop_duplicates().itertuples(index=False, name=None))
    n_rows = max(1, -(-len(panels) // N_COLUMNS))
    figure = new_figure(TWO_COLUMNS, 1.2 + 1.5 * n_rows)
    axes = figure.subplots(n_rows, N_COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axis, (model, method) in zip(axes, panels, strict=False):
        _draw_panel(axis, table[(table["model"] == model) & (table["method"] == method)], config)
        axis.set_title(f"{shorten(model, 26)}\n{method}")
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    if panels:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2, borderaxespad=0.3)
    figure.supylabel("Drop of the IoU", fontsize=8)
    add_footer(
        figure,
        f"{run_footer(config)}; over p, the fraction of the utility regions; band: 95% interval; placebo: without as "
        f"much of a third safety set; grey: p, and the drop that counts as one; {UNDEFINED}: not defined",
    )
    return figure


def _draw_panel(axis: Axes, rows: pd.DataFrame, config: dict[str, Any]) -> None:
    p = rows["p"].to_numpy(float)
    # A grid may be of one fraction alone.
    ends = sorted({*p, config["thresholds"]["p"]})
    axis.set_xscale("log")
    axis.set_xlim(0.8 * ends[0], 1.25 * ends[-1])
    axis.xaxis.set_minor_locator(NullLocator())
    ticks = sorted({ends[0], config["thresholds"]["p"], ends[-1]})
    axis.set_xticks(ticks, [percent(tick) for tick in ticks])
    axis.axvline(config["thresholds"]["p"], color="0.8", linewidth=0.8, zorder=0)
    axis.axhline(Claims.model_validate(config.get("claims", {})).drop, color="0.8", linewidth=0.8, zorder=0)
    axis.fill_between(p, rows["drop_low"], rows["drop_high"], color=AFTER, alpha=0.2, linewidth=0)
    marks: dict[str, Any] = {"markersize": 3, "clip_on": False}
    axis.plot(p, rows["drop"], color=AFTER, marker="s", label="Without the utility regions", **marks)
    label = "Without as much of a third safety set"
    axis.plot(p, rows["placebo_drop"], color=BEFORE, marker="o", linestyle=(0, (4, 2)), label=label, **marks)
    if not rows["drop"].notna().any():
        axis.text(0.5, 0.5, UNDEFINED, transform=axis.transAxes, ha="center", va="center")
    axis.set_ylim(-0.1, 1)
    axis.grid(axis="y")
