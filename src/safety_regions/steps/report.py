"""Figures and tables of all models and methods in, one folder to look at out: summary.md first, everything beside it."""

import shutil
from pathlib import Path

import pandas as pd
import yaml

from safety_regions import receipts
from safety_regions.counts import UNION
from safety_regions.figures.headline import write_headline
from safety_regions.store import atomic_path, write_text

FLOAT_FORMAT = "%.9g"


def write_report(recipe: dict, parts: dict[str, Path], output: Path) -> None:
    """Write summary.md, headline figure and table, iou.csv, sources.csv, config.yaml, and copies of all figures."""
    for role, path in parts.items():
        receipts.check(path, recipe["parts"][role])
    overlaps = {role.removeprefix("overlap/"): path for role, path in parts.items() if role.startswith("overlap/")}
    thresholds = recipe["config"]["thresholds"]
    pairs = pd.concat([_pairs(name, path) for name, path in overlaps.items()], ignore_index=True)
    headline = headline_table(overlaps, thresholds["q"], thresholds["p"])
    _write_csv(pairs, output / "iou.csv")
    write_headline(headline, recipe["config"], output)
    _write_csv(pd.json_normalize(recipe["sources"]), output / "sources.csv")
    write_text(output / "config.yaml", yaml.safe_dump(recipe["config"], sort_keys=False))
    _copy_figures(parts, output)
    sets = {name: receipts.read(path).facts["sets"] for name, path in overlaps.items()}
    write_text(output / "summary.md", summary(recipe, headline, sets))
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


def summary(recipe: dict, headline: pd.DataFrame, sets: dict[str, dict]) -> str:
    """The page that opens the report, in Markdown."""
    config = recipe["config"]
    datasets, thresholds = config["datasets"], config["thresholds"]
    lines = [
        f"# Safety regions: {config['name']}",
        "",
        f"{len(config['models'])} models, {len(datasets['safety'])} safety sets, {len(datasets['utility'])} utility sets, "
        f"{datasets['n_samples']} prompts each (seed {datasets['seed']}), responses: {config['responses']['policy']}, "
        f"scope: {thresholds['scope']}.",
        "",
        f"Mean IoU over pairs of safety sets at q = {thresholds['q']:g}, before and after refinement with the union of the "
        f"utility regions at p = {thresholds['p']:g}; in brackets the chance floor (random regions of the same sizes). "
        "The last columns: IoU of all safety sets together.",
        "",
        "| model | method | IoU before | IoU after | all sets before | all sets after |",
        "|---|---|---|---|---|---|",
    ]
    for row in headline.to_dict("records"):
        cells = [f"{_number(row[iou])} ({_number(row[floor])})" for iou, floor in HEADLINE_PAIRS]
        lines.append(f"| {row['model']} | {row['method']} | {' | '.join(cells)} |")
    lines += [
        "",
        "Share of the responses that refuse, by model and set:",
        "",
        *_refusals(sets, [*datasets["safety"], *datasets["utility"]]),
    ]
    lines += ["", *_cut(sets), "", *LEGEND]
    return "\n".join(lines) + "\n"


HEADLINE_PAIRS = (
    ("iou_raw", "floor_raw"),
    ("iou_refined", "floor_refined"),
    ("nway_iou_raw", "nway_floor_raw"),
    ("nway_iou_refined", "nway_floor_refined"),
)
LEGEND = (
    "Files: `headline.*` all models and methods at a glance; `<model>.<method>.iou_matrix.*` every pair of sets;",
    "`iou_threshold.*` IoU against the fraction; `nway.*` IoU as sets are added; `location.*` where the regions lie;",
    "`iou.csv` every pair at every fraction; `prompt_overlap.csv` prompts that sets share; `sources.csv` pins, licences and",
    "citations; `config.yaml` the configuration. Each figure is there as PDF, PNG and the CSV of what it shows.",
)


def _refusals(sets: dict[str, dict], names: list[str]) -> list[str]:
    by_model = {name.split(".")[0]: of for name, of in sets.items()}
    lines = ["| model | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for model, of in by_model.items():
        lines.append(f"| {model} | " + " | ".join(f"{of[name]['share_refused']:.2f}" for name in names) + " |")
    return lines


def _cut(sets: dict[str, dict]) -> list[str]:
    """How many responses were cut at the length limit, or empty, over the sets of each model."""
    lines = []
    for model, of in {name.split(".")[0]: of for name, of in sets.items()}.items():
        total = {key: sum(facts[key] for facts in of.values()) for key in ("n_samples", "n_cut", "n_empty")}
        lines.append(f"{model}: of {total['n_samples']} responses {total['n_cut']} were cut at the length limit, {total['n_empty']} empty.  ")  # fmt: skip
    return lines


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
        if kind == "figures":
            for file in sorted(folder.iterdir()):
                if file.suffix in (".pdf", ".png", ".csv"):
                    _copy(file, output / f"{name}.{file.name}")
    _copy(parts["prompt_overlap"], output / "prompt_overlap.csv")


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f}"
