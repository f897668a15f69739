"""What SafeLayer's ranges of layers follow from: the gap between prompts by layer, and refusals while layers are
scaled.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from safety_regions.planning.recipes.report import FigureContext
from safety_regions.report.figures.style import ONE_COLUMN, TWO_COLUMNS, add_footer, new_figure, paper_style
from safety_regions.report.numbers import shorten

Statistics = Mapping[str, Mapping[str, np.ndarray]]
"""By set: the arrays of `methods.safelayer.measure` but its states."""

GAP_COLUMNS = ["set", "role", "layer", "gap", "null", "p_value", "is_normal", "in_range", "onset", "smoothing"]
SWEEP_COLUMNS = [
    "set",
    "role",
    "bound",
    "layer",
    "refused",
    "n_prompts",
    "share",
    "baseline",
    "alpha",
    "chosen",
    "alike",
]
LINES: dict[str, dict[str, Any]] = {"safety": {"linestyle": "-"}, "utility": {"linestyle": (0, (4, 1.5))}}
MARKERS: dict[str, dict[str, Any]] = {"safety": {"marker": "o"}, "utility": {"marker": "s", "markerfacecolor": "white"}}
SHADES = {"safety": ("Blues", 0.45, 1.0), "utility": ("Oranges", 0.55, 0.9)}
"""By role: colour map, and the part of it that its sets' colours are spread over."""
BOUNDS = {"upper": "Upper bound b, onset to b scaled", "lower": "Lower bound a, a to the chosen b scaled"}


def gap_table(statistics: Statistics, context: FigureContext) -> pd.DataFrame:
    """One row per set and layer: gap in radians, the null curve that it has to exceed, and how likely chance alone
    exceeds that as far; 1 or 0 for the set that all are compared with, inside the range, onset of the gap, first
    smoothing.
    """
    rows: list[tuple] = []
    for name in _ordered(statistics, context):
        arrays = statistics[name]
        first, last = arrays["range"].tolist()
        onset, smoothing = arrays["initial"].tolist()
        tested = (float(arrays["p_value"]), int(arrays["is_normal"]))
        for layer, angles in enumerate(zip(arrays["gap"].tolist(), arrays["null"].tolist(), strict=True)):
            marks = (int(first <= layer <= last), int(layer == onset), int(layer == smoothing))
            rows.append((name, _role(name, context), layer, *angles, *tested, *marks))
    return pd.DataFrame(rows, columns=GAP_COLUMNS)


def sweep_table(statistics: Statistics, context: FigureContext) -> pd.DataFrame:
    """One row per set, bound (upper, lower) and layer tried: prompts refused, their share and that of the unscaled
    model, the scale alpha, 1 for the bound chosen, and the share of draws of the prompts that give the same range. A
    set without a gap was not tried and has no rows.
    """
    rows: list[tuple] = []
    for name in _ordered(statistics, context):
        arrays = statistics[name]
        n, baseline, alpha = int(arrays["n_over_rejection"]), int(arrays["baseline"]), float(arrays["alpha"])
        first, last = arrays["range"].tolist()
        for bound, chosen in (("upper", last), ("lower", first)):
            for layer, count in enumerate(arrays[bound].tolist()):
                if count >= 0:
                    shares = (count, n, count / n, baseline / n)
                    about = (alpha, int(layer == chosen), float(arrays["alike"]))
                    rows.append((name, _role(name, context), bound, layer, *shares, *about))
    return pd.DataFrame(rows, columns=SWEEP_COLUMNS)


@paper_style
def draw_gap(table: pd.DataFrame, context: FigureContext) -> Figure:
    """Draw `gap_table`: a curve per set with its range marked, its null curve beside it, dotted, and the ranges below,
    named, in the curves' colours.
    """
    colours, names = _colours(context), list(table["set"].unique())
    figure = new_figure(ONE_COLUMN, 2.5 + 0.14 * len(names))
    heights = [1.7, 0.3 + 0.14 * len(names)]
    above, below = figure.subplots(2, sharex=True, height_ratios=heights)
    above.axhline(0, color="0.6", linewidth=0.6)
    for row, (name, rows) in enumerate(_sets(table)):
        _draw_curve(above, rows, rows["gap"], colours[name], rows["in_range"])
        above.plot(rows["layer"], rows["null"], color=colours[name], linestyle=":", linewidth=0.7)
        _draw_range(below, rows, row, colours[name])
    above.set_ylabel("Angle gap (rad)")
    below.set_yticks(range(len(names)), [shorten(name) for name in names])
    below.set_ylim(len(names) - 0.4, -0.6)
    below.tick_params(axis="y", length=0)
    _label_layers(below, table, "Layer")
    _add_roles(figure, table)
    add_footer(
        figure,
        f"{_about(context)}; gap to harmless prompts; dotted: what chance exceeds at any layer in 5% of permutations; "
        "markers and bars: range found; thin lines: onset of the gap to its first smoothing",
    )
    return figure


@paper_style
def draw_sweep(table: pd.DataFrame, context: FigureContext) -> Figure:
    """Draw `sweep_table`: the share of over-rejection prompts refused against either bound, chosen bounds marked."""
    colours = _colours(context)
    figure = new_figure(TWO_COLUMNS, 2.6)
    for axis, (bound, label) in zip(figure.subplots(1, 2, sharey=True), BOUNDS.items(), strict=True):
        for name, rows in _sets(table[table["bound"] == bound]):
            legend = f"{shorten(name)}, α = {rows['alpha'].iloc[0]:g}"
            _draw_curve(axis, rows, rows["share"], colours[name], rows["chosen"], legend)
        if len(table):
            axis.axhline(
                table["baseline"].iloc[0], color="0.3", linewidth=0.8, linestyle=(0, (1.2, 1.4)), label="Unscaled"
            )
            _label_layers(axis, table, label)
        else:
            axis.text(0.5, 0.5, "No set has a gap", transform=axis.transAxes, ha="center", va="center")
        axis.set_ylim(-0.02, 1.02)
        axis.grid(axis="y")
        axis.set_title(f"{bound.capitalize()} bound")
    figure.axes[0].set_ylabel("Share of harmless prompts refused")
    if len(table):
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper")
    add_footer(figure, f"{_about(context)}; markers: bounds chosen")
    return figure


def _draw_curve(
    axis: Axes, rows: pd.DataFrame, y: pd.Series, colour: Any, marked: pd.Series, label: str | None = None
) -> None:
    role = rows["role"].iloc[0]
    style = {**LINES[role], **MARKERS[role], "markersize": 3}
    axis.plot(
        rows["layer"], y, color=colour, label=label, markevery=np.flatnonzero(marked).tolist(), clip_on=False, **style
    )


def _draw_range(axis: Axes, rows: pd.DataFrame, row: int, colour: Any) -> None:
    inside, ends = rows["layer"][rows["in_range"] == 1], rows["layer"][(rows["onset"] == 1) | (rows["smoothing"] == 1)]
    if not len(inside):
        why = "compared with" if rows["is_normal"].any() else "no gap"
        axis.text(rows["layer"].mean(), row, why, ha="center", va="center", color="0.4", fontsize=6)
        return
    axis.barh(row, len(inside), left=inside.min() - 0.5, height=0.7, color=colour)
    axis.plot([ends.min(), ends.max()], [row, row], color="0.2", linewidth=0.7, marker="|", markersize=5)


def _label_layers(axis: Axes, table: pd.DataFrame, label: str) -> None:
    axis.set_xlim(-0.6, table["layer"].max() + 0.6)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel(label)


def _add_roles(figure: Figure, table: pd.DataFrame) -> None:
    for role in table["role"].unique():
        colour = matplotlib.colormaps[SHADES[role][0]](0.8)
        figure.axes[0].plot([], [], color=colour, label=f"{role.capitalize()} sets", **LINES[role], **MARKERS[role])
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)


def _sets(table: pd.DataFrame) -> Any:
    return table.groupby("set", sort=False)


def _colours(context: FigureContext) -> dict[str, Any]:
    """A shade of its role's colour for each set of the study, the same in every figure."""
    colours: dict[str, Any] = {}
    for role, names in (("safety", context.safety), ("utility", context.utility)):
        palette, low, high = SHADES[role]
        colours |= dict(zip(names, matplotlib.colormaps[palette](np.linspace(high, low, len(names))), strict=True))
    return colours


def _ordered(statistics: Statistics, context: FigureContext) -> list[str]:
    return [name for name in [*context.safety, *context.utility] if name in statistics]


def _role(name: str, context: FigureContext) -> str:
    return "utility" if name in context.utility else "safety"


def _about(context: FigureContext) -> str:
    return f"{context.model}, {context.method}, {context.n_samples} prompts per set, layers counted from 0"
