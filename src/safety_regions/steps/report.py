"""Figures and tables of all models and methods in, one folder to look at out: summary.md first, everything beside it."""

import shutil
from pathlib import Path

import pandas as pd
import yaml

from safety_regions import receipts
from safety_regions.counts import UNION
from safety_regions.figures.evaluate import write_evaluation
from safety_regions.figures.headline import write_headline
from safety_regions.methods.catalogue import CATALOGUE
from safety_regions.steps.across import write_csv
from safety_regions.steps.metrics import write_metrics
from safety_regions.steps.summary import summary
from safety_regions.store import atomic_path, write_text

FIGURE_KINDS = ("figures", "curves")


def write_report(recipe: dict, parts: dict[str, Path], output: Path) -> None:
    """Write summary.md, headline, iou.csv, across.csv, evaluate.*, sources.csv, config.yaml, what DVC shows, and copies of all
    figures."""
    for role, path in parts.items():
        receipts.check(path, recipe["parts"][role])
    parts = dict(sorted(parts.items(), key=lambda part: _place(part[0], recipe["config"])))
    overlaps, thresholds = _of_kind(parts, "overlap"), recipe["config"]["thresholds"]
    pairs = pd.concat([_pairs(name, path) for name, path in overlaps.items()], ignore_index=True)
    headline = headline_table(overlaps, thresholds["q"], thresholds["p"])
    across = _together(_of_kind(parts, "across"), "across.csv", ["model"])
    evaluated = _together(_of_kind(parts, "evaluate"), "evaluate.csv", ["model", "method"])
    write_csv(pairs, output / "iou.csv")
    write_headline(headline, recipe["config"], output)
    if len(across):
        write_csv(across, output / "across.csv")
    if len(evaluated):
        write_evaluation(evaluated, output)
    write_metrics(recipe["config"], headline, pairs, evaluated, output)
    write_csv(pd.json_normalize(recipe["sources"]), output / "sources.csv")
    write_text(output / "config.yaml", yaml.safe_dump(recipe["config"], sort_keys=False))
    _copy_figures(parts, output)
    sets = {name: receipts.read(path).facts["sets"] for name, path in overlaps.items()}
    write_text(output / "summary.md", summary(recipe["config"], headline, across, evaluated, sets))
    receipts.write(output, recipe, {}, versions=("matplotlib", "numpy", "pandas"))


def headline_table(overlaps: dict[str, Path], q: float, p: float) -> pd.DataFrame:
    """One row per model and method: mean IoU over pairs of safety sets and IoU of all of them, with the chance floors,
    raw at fraction q and refined with the union of the utility regions at fraction p.
    """
    rows = []
    for name, folder in overlaps.items():
        model, method = name.split(".")
        row: dict = {"model": model, "method": method, "q": q, "p": p}
        pairs, nway = pd.read_parquet(folder / "pairs.parquet"), pd.read_parquet(folder / "nway.parquet")
        for stage, at in (("raw", _at(pairs, q)), ("refined", _at(pairs, q, p))):
            row |= {f"iou_{stage}": at["iou"].mean(), f"floor_{stage}": at["floor_iou"].mean()}
        for stage, at in (("raw", _at(nway, q)), ("refined", _at(nway, q, p))):
            last = at[at["n"] == at["n"].max()]
            row |= {f"nway_iou_{stage}": last["iou"].mean(), f"nway_floor_{stage}": last["floor_iou"].mean()}
        rows.append(row)
    return pd.DataFrame(rows)


def _place(role: str, config: dict) -> tuple[int, ...]:
    """Models in the order of the configuration, methods in that of the catalogue."""
    orders = (config["models"], list(CATALOGUE))
    return tuple(
        order.index(name) for order, name in zip(orders, role.partition("/")[2].split("."), strict=False) if name
    )


def _of_kind(parts: dict[str, Path], kind: str) -> dict[str, Path]:
    """The parts of a kind by what stands behind it in their role: `<model>` or `<model>.<method>`."""
    return {role.removeprefix(f"{kind}/"): path for role, path in parts.items() if role.startswith(f"{kind}/")}


def _together(folders: dict[str, Path], file: str, columns: list[str]) -> pd.DataFrame:
    """The CSV of each folder, with its model (and method) in front."""
    tables = []
    for name, folder in folders.items():
        table = pd.read_csv(folder / file, keep_default_na=False, na_values=[""])
        tables.append(table.assign(**dict(zip(columns, name.split("."), strict=True)))[[*columns, *table.columns]])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _pairs(name: str, folder: Path) -> pd.DataFrame:
    """Pairs over the whole model: raw at every q, refined with the union at p = q."""
    model, method = name.split(".")
    pairs = pd.read_parquet(folder / "pairs.parquet")
    wanted = (pairs["scope"] == "all") & ((pairs["stage"] == "raw") | ((pairs["utility"] == UNION) & (pairs["p"] == pairs["q"])))  # fmt: skip
    columns = {"model": model, "method": method}
    return pd.concat([pd.DataFrame([columns] * int(wanted.sum())), pairs[wanted].reset_index(drop=True)], axis=1)


def _at(table: pd.DataFrame, q: float, p: float | None = None) -> pd.DataFrame:
    at = table["q"] == q
    at &= table["stage"].eq("raw") if p is None else table["utility"].eq(UNION) & table["p"].eq(p)
    return table[at & table["scope"].eq("all")] if "scope" in table else table[at]


def _copy_figures(parts: dict[str, Path], output: Path) -> None:
    for role, folder in parts.items():
        kind, _, name = role.partition("/")
        if kind in FIGURE_KINDS:
            for file in sorted(folder.iterdir()):
                if file.suffix in (".pdf", ".png", ".csv"):
                    _copy(file, output / f"{name}.{file.name}")
    _copy(parts["prompt_overlap"], output / "prompt_overlap.csv")


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
