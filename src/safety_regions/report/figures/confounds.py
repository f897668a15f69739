"""Does the IoU of two sets follow from what else they have in common: shared prompts, lengths, refusals."""

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from safety_regions.overlap.counts import STAGES
from safety_regions.report.figures.headline import run_footer
from safety_regions.report.figures.style import (
    COLOURS,
    MARKERS,
    TITLES,
    TWO_COLUMNS,
    add_footer,
    new_figure,
    paper_style,
    save,
)
from safety_regions.report.names import IDS, Names
from safety_regions.report.numbers import UNDEFINED, cell, shorten

COLUMNS = ["model", "method", "stage", "a", "b", "iou", "covariate", "value"]
MOST_ACROSS = 6
"""Panels side by side that have room for their numbers."""
HIGHEST = 8.8
"""Of the figure, in inches: it stands on one page with its caption. Panels are lower where there are many."""
FEW = 0.05
"""The p value below which the figure counts a correlation where it shows several models together."""


def pair_rows(
    model: str,
    method: str,
    pairs: pd.DataFrame,
    sets: list[str],
    covariates: Mapping[str, Float64[np.ndarray, "sets sets"]],
) -> pd.DataFrame:
    """The long table of one model and method: one row for each row of `pairs` (stage, a, b, iou) and covariate.

    `covariates`: by name, what each pair of `sets` has in common.
    """
    first, second = (pairs[name].map(sets.index).to_numpy(int) for name in ("a", "b"))
    tables = [
        pairs.assign(model=model, method=method, covariate=name, value=values[first, second])
        for name, values in covariates.items()
    ]
    return pd.concat(tables, ignore_index=True)[COLUMNS] if tables else pd.DataFrame(columns=COLUMNS)


def write_confounds(
    pairs: pd.DataFrame, tests: pd.DataFrame, config: dict[str, Any], output: Path, names: Names = IDS
) -> None:
    """Write confounds_pairs.pdf, .png and .csv.

    `pairs`: one row per model, method, stage, pair (a, b) of safety sets and covariate, with iou and the covariate's
    value. `tests`: the rows of confounds.csv: rho and p_value for each model, method, stage and covariate.
    """
    drawn = pairs[COLUMNS]
    save(draw_confounds(names.table(drawn), names.table(tests), names.config(config)), drawn, output, "confounds_pairs")


@paper_style
def draw_confounds(pairs: pd.DataFrame, tests: pd.DataFrame, config: dict[str, Any]) -> Figure:
    """One panel per method and covariate: a point per pair of sets and model; above it rank correlation and p value.

    Beyond `MOST_ACROSS` covariates the others stand in a block below, with a row per method again. Methods by which all
    pairs have one IoU are left out.
    """
    varying = pairs.groupby("method", sort=False)["iou"].nunique()
    methods, still = ([str(name) for name in varying.index[is_so]] for is_so in (varying > 1, varying <= 1))
    covariates = _varying(pairs)
    n_blocks = max(math.ceil(len(covariates) / MOST_ACROSS), 1)
    across = max(math.ceil(len(covariates) / n_blocks), 1)
    n_rows = max(len(methods), 1)
    panel = min(1.05, ((HIGHEST - 0.5) / n_blocks - 0.45) / n_rows)
    figure = new_figure(TWO_COLUMNS, 0.5 + n_blocks * (0.45 + panel * n_rows))
    blocks = figure.subfigures(n_blocks, 1, squeeze=False)[:, 0]
    first: Axes | None = None
    for number, block in enumerate(blocks):
        axes = block.subplots(n_rows, across, sharex="col", sharey="row", squeeze=False)
        first = first or axes[0][0]
        _draw_block(axes, methods, covariates[number * across :][:across], pairs, tests)
    assert first is not None
    if not covariates:
        first.text(0.5, 0.5, "No two pairs differ", transform=first.transAxes, ha="center", va="center")
    for stage in STAGES:
        first.plot([], [], color=COLOURS[stage], linestyle="none", label=TITLES[stage], **MARKERS[stage])
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper left", ncols=2, borderaxespad=0.3)
    left_out = f"; left out, since all IoU are one: {', '.join(still)}" if still else ""
    add_footer(figure, f"{run_footer(config)}; a point per pair of safety sets{_models(pairs)}{left_out}")
    return figure


def _draw_block(
    axes: np.ndarray, methods: list[str], covariates: list[str], pairs: pd.DataFrame, tests: pd.DataFrame
) -> None:
    """A row of panels per method and a column per covariate; columns without one stay empty."""
    for row, method in zip(axes, methods, strict=False):
        for axis, covariate in zip(row, covariates, strict=False):
            _draw_panel(axis, _rows_of(pairs, method, covariate), _rows_of(tests, method, covariate))
        row[0].set_ylabel(f"{method}\nIoU")
        _scale(row[0], pairs[pairs["method"] == method]["iou"])
    for axis, covariate in zip(axes[-1], covariates, strict=False):
        words = covariate[:1].upper() + covariate[1:]
        axis.set_xlabel("\n".join(textwrap.wrap(words, int(90 / axes.shape[1]))))
    for axis in axes[:, max(len(covariates), 1) :].ravel():
        axis.set_visible(False)


def _varying(pairs: pd.DataFrame) -> list[str]:
    """Covariates that are not the same for all pairs: only of these there is anything to see."""
    return [str(name) for name, rows in pairs.groupby("covariate", sort=False) if rows["value"].nunique() > 1]


def _rows_of(table: pd.DataFrame, method: str, covariate: str) -> pd.DataFrame:
    return table[(table["method"] == method) & (table["covariate"] == covariate)]


def _models(pairs: pd.DataFrame) -> str:
    models = list(dict.fromkeys(pairs["model"]))
    what = "ρ: Spearman's, p: permutation of the sets"
    if len(models) < 2:
        return f" of {shorten(models[0], 40)}; {what}" if models else f"; {what}"
    return f" and model ({len(models)} models); median ρ over models, and in how many p < {cell(FEW)}; {what}"


def _draw_panel(axis: Axes, pairs: pd.DataFrame, tests: pd.DataFrame) -> None:
    defined = pairs[np.isfinite(pairs["iou"]) & np.isfinite(pairs["value"])]
    size = 2.6 if len(defined) <= 100 else 1.6
    for line, stage in enumerate(STAGES):
        rows = defined[defined["stage"] == stage]
        style: dict[str, Any] = {**MARKERS[stage], "markersize": size, "markeredgewidth": 0.7, "linestyle": "none"}
        axis.plot(rows["value"], rows["iou"], color=COLOURS[stage], **style)
        words = correlation(tests[tests["stage"] == stage])
        axis.annotate(
            words,
            (0, 1),
            (0, 12 - 7.5 * line),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=5.8,
            color=COLOURS[stage],
        )
    if not len(defined):
        axis.text(0.5, 0.5, UNDEFINED, transform=axis.transAxes, ha="center", va="center", color="0.4")
    axis.xaxis.set_major_locator(MaxNLocator(3))
    axis.margins(x=0.06)
    axis.grid()


def correlation(tests: pd.DataFrame) -> str:
    """Rank correlation and p value in words; of several models the median, and how many are below `FEW`."""
    rho, p = (tests[name][np.isfinite(tests[name])] for name in ("rho", "p_value"))
    if not len(rho):
        return f"ρ {UNDEFINED}"
    median = float(rho.median())
    sign = "−" if median < 0 else ""
    words = f"ρ {sign}{cell(abs(median))}"
    if len(tests) > 1:
        return f"{words}, p < {cell(FEW)}: {int((p < FEW).sum())} of {len(tests)}"
    return f"{words}, p {cell(float(p.iloc[0]))}".replace("p <", "p < ") if len(p) else words


def _scale(axis: Axes, values: pd.Series) -> None:
    """From 0 to the largest IoU of the method, with room for whole markers at both."""
    top = values[np.isfinite(values)].max() if np.isfinite(values).any() else 1.0
    top = max(top, 1e-3)
    axis.set_ylim(-0.05 * top, 1.08 * top)
    axis.yaxis.set_major_locator(MaxNLocator(4))
