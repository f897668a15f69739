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
from safety_regions.report.names import IDS, Names
from safety_regions.report.numbers import UNDEFINED, percent, shorten


def write_drop(rows: pd.DataFrame, config: dict[str, Any], output: Path, names: Names = IDS) -> None:
    """Write drop.pdf, .png and .csv: the rows of `safety_regions.claims.drop_curve`."""
    save(draw_drop(names.table(rows), names.config(config)), rows, output, "drop")


@paper_style
def draw_drop(table: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """A row of panels for each model, a column for each method: the drop over a logarithmic p with its interval, and
    the placebo's; the grey lines are the p of the headline and the drop that counts as one. A method whose drop is
    nowhere defined has no column.
    """
    defined = table[table["drop"].notna()]
    models, methods = (
        [name for name in dict.fromkeys(table[column]) if name in set(defined[column])]
        for column in ("model", "method")
    )
    figure = new_figure(TWO_COLUMNS, 1.2 + 1.35 * max(len(models), 1))
    shape = (max(len(models), 1), max(len(methods), 1))
    axes = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
    for row, model in zip(axes, models, strict=False):
        row[0].set_ylabel(shorten(model, 26))
        for axis, method in zip(row, methods, strict=False):
            _draw_panel(axis, table[(table["model"] == model) & (table["method"] == method)], config)
    for axis, method in zip(axes[0], methods, strict=False):
        axis.set_title(method)
    if not methods:
        axes[0][0].text(0.5, 0.5, UNDEFINED, transform=axes[0][0].transAxes, ha="center", va="center")
    else:
        figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=2, borderaxespad=0.3)
    figure.supylabel("Drop of the IoU", fontsize=8)
    add_footer(
        figure,
        f"{run_footer(config)}; over p, the fraction of the utility regions; band: 95% interval; placebo: without as "
        f"much of a third safety set; grey: p, and the drop that counts as one; {UNDEFINED}: not defined"
        f"{_left_out(table, methods)}",
    )
    return figure


def _left_out(table: pd.DataFrame, methods: list[str]) -> str:
    names = [name for name in dict.fromkeys(table["method"]) if name not in methods]
    return f"; left out, since nowhere defined: {', '.join(names)}" if names else ""


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
