"""What DVC shows of a report and compares across git revisions: metrics.json, tables to plot, and the dvc.yaml that
names them.
"""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from safety_regions.files import atomic_path, readable_json, write_text
from safety_regions.overlap.counts import STAGES
from safety_regions.report.figures.headline import headline_columns
from safety_regions.report.figures.style import TITLES
from safety_regions.table_files import FLOAT_FORMAT

METRICS = "metrics.json"
BARS = "iou_bars.csv"
CURVES = "iou_curves.csv"
DVC_FILE = "dvc.yaml"
HEADING = (
    "# What DVC shows of this report: dvc metrics show, dvc metrics diff, dvc params diff, dvc plots show, "
    "dvc plots diff.\n"
)

Metrics = dict[str, dict[str, dict[str, float]]]


def write_metrics(
    config: dict[str, Any], headline: pd.DataFrame, pairs: pd.DataFrame, evaluated: pd.DataFrame, output: Path
) -> None:
    """Write metrics.json, iou_bars.csv, `<model>.<method>.iou_curves.csv` and dvc.yaml.

    `headline` has one row per model and method; `pairs` the pairs of sets over whole models at every q, refined at p =
    q; `evaluated` the evaluation tables one below another, or nothing.
    """
    write_text(output / METRICS, readable_json(metrics(headline, evaluated)))
    names = headline["model"] + "." + headline["method"]
    _write_plot(headline[headline_columns()].assign(region=names), output / BARS)
    for name, rows in pairs.groupby(pairs["model"] + "." + pairs["method"], sort=False):
        _write_plot(curves(rows), output / f"{name}.{CURVES}")
    shown = {"metrics": [METRICS], "params": ["config.yaml"], "plots": [*_bars(config), *_curves(config, list(names))]}
    write_text(output / DVC_FILE, HEADING + yaml.safe_dump(shown, sort_keys=False, width=200))


def metrics(headline: pd.DataFrame, evaluated: pd.DataFrame) -> Metrics:
    """By model and method: the numbers of the headline, and the shares of harmful prompts refused and degenerate with
    nothing, the region, or random regions taken out, means over sets and random regions. What is undefined or infinite
    is left out.
    """
    by_model: Metrics = {}
    columns = [column for column in headline_columns() if column not in ("model", "method")]
    for row in headline.to_dict("records"):
        by_model.setdefault(row["model"], {})[row["method"]] = {column: row[column] for column in columns}
    if len(evaluated):
        for column in ("refusal_rate", "degenerate_rate"):
            rates = evaluated.groupby(["model", "method", "condition"], sort=False)[column].mean()
            for (model, method, condition), rate in rates.items():
                by_model[model][method][f"{column}_{condition}"] = rate
    return {
        model: {method: _defined(numbers) for method, numbers in by_method.items()}
        for model, by_method in by_model.items()
    }


def curves(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row per q: mean IoU and mean floor over the pairs of one model and method, raw and refined."""
    columns: dict[str, pd.Series] = {}
    for stage in STAGES:
        means = pairs[pairs["stage"] == stage].groupby("q")[["iou", "floor_iou"]].mean()
        columns |= {f"iou_{stage}": means["iou"], f"floor_{stage}": means["floor_iou"]}
    return pd.DataFrame(columns).rename_axis("q").reset_index()


def _defined(numbers: dict[str, float]) -> dict[str, float]:
    """With as many digits as in the tables; JSON has neither NaN nor infinity."""
    return {name: float(FLOAT_FORMAT % value) for name, value in numbers.items() if math.isfinite(value)}


def _write_plot(table: pd.DataFrame, path: Path) -> None:
    # DVC's plots take an empty cell for 0, and leave out NaN.
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format=FLOAT_FORMAT, lineterminator="\n", na_rep="NaN")


# The name of the run stands in the names of plots, since DVC shows those of all folders side by side.


def _bars(config: dict[str, Any]) -> list[dict]:
    """One plot per stage: mean IoU of every model and method."""
    return [
        {
            f"{config['name']}/iou_{stage}": {
                "template": "bar_horizontal",
                "x": {BARS: f"iou_{stage}"},
                "y": {BARS: "region"},
                "title": f"{config['name']}: {TITLES[stage].lower()}",
                # Two revisions in one plot may have different fractions.
                "x_label": f"mean IoU of two safety sets, at the revision's {fractions}",
                "y_label": "model and method",
            }
        }
        for stage, fractions in (("raw", "q"), ("refined", "q and p"))
    ]


def _curves(config: dict[str, Any], names: list[str]) -> list[dict]:
    """One plot per model and method: mean IoU and chance floor against q."""
    return [
        {
            f"{config['name']}/{name}": {
                "template": "simple",
                "x": "q",
                "y": {f"{name}.{CURVES}": [f"{what}_{stage}" for what in ("iou", "floor") for stage in STAGES]},
                "title": f"{config['name']}: {name}",
                "x_label": "fraction q of the elements in a region (refined: p = q)",
                "y_label": "mean IoU of two safety sets, and its chance floor",
            }
        }
        for name in names
    ]
