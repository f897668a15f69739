"""The page that opens a report: what was asked, what was found, and what stands in which file."""

import pandas as pd

from safety_regions.claims.assessment import Assessment

HEADLINE_PAIRS = (
    ("iou_raw", "floor_raw"),
    ("iou_refined", "floor_refined"),
    ("nway_iou_raw", "nway_floor_raw"),
    ("nway_iou_refined", "nway_floor_refined"),
)
LEGEND = (
    "Files: `report.html` all of this to look around in, `appendix.pdf` every figure; `verdicts.*` the claims; `estimates.csv` and",
    "`ceiling.*` IoU between chance and noise, with intervals; `confounds.csv` and `confounds_pairs.*` what else IoU goes with;",
    "`responses.*` the same prompts with other responses. `headline.*` all models and methods at a glance;",
    "`<model>.<method>.iou_matrix.*` every pair of sets; `iou_threshold.*` IoU against the fraction; `surface.*` against p and q;",
    "`nway.*` as sets are added; `location.*` where the regions lie; `gap.*` and `sweep.*` how SafeLayer found its layers; `iou.csv`",
    "every pair at every fraction; `across.csv` regions of different methods on the weights they own; `evaluate.*` models without their",
    "regions; `prompt_overlap.csv` prompts that sets share; `sources.csv` pins, licences and citations; `config.yaml` the configuration.",
    "Each figure is there as PDF, PNG and the CSV of what it shows. `metrics.json` holds the headline and the refusal rates for `dvc",
    "metrics diff`, `iou_bars.csv` and `<model>.<method>.iou_curves.csv` what `dvc plots diff` draws, as `dvc.yaml` says.",
)


def summary(
    config: dict,
    headline: pd.DataFrame,
    across: pd.DataFrame,
    evaluated: pd.DataFrame,
    sets: dict[str, dict],
    assessment: Assessment,
) -> str:
    """The page in Markdown: the claims, overlap within each method, across methods, what regions are worth, and what
    was refused.
    """
    datasets = config["datasets"]
    lines = [
        f"# Safety regions: {config['name']}",
        "",
        f"{len(config['models'])} models, {len(datasets['safety'])} safety sets, {len(datasets['utility'])} utility sets, "
        f"{datasets['n_samples']} prompts each (seed {datasets['seed']}), responses: {config['responses']['policy']}, "
        f"scope: {config['thresholds']['scope']}.",
        "",
        "## What holds",
        "",
        assessment.to_markdown().rstrip(),
        "",
        *_overlap(config["thresholds"], headline),
        *_place(assessment.estimates),
        *(_across(across) if len(across) else []),
        *(_evaluation(evaluated) if len(evaluated) else []),
        "## Refusals",
        "",
        "Share of the responses that refuse, by model and set:",
        "",
        *_refusals(sets, [*datasets["safety"], *datasets["utility"]]),
        "",
        *_cut(sets),
        "",
        *LEGEND,
    ]
    return "\n".join(lines) + "\n"


def _overlap(thresholds: dict, headline: pd.DataFrame) -> list[str]:
    lines = [
        "## Overlap of the safety sets' regions",
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
    return [*lines, ""]


def _place(estimates: pd.DataFrame) -> list[str]:
    """Between chance and two samples of one set; nothing if there are no replicates."""
    known = estimates[estimates["place"].notna()]
    if known.empty:
        return []
    lines = [
        "## Between chance and noise",
        "",
        "Ceiling: IoU of the regions of two disjoint halves of one set. Place: where the IoU of halves of different sets lies, from 0 "
        "(chance) to 1 (as alike as two samples of one set). In brackets 95% intervals over the sets. Size-matched: raw IoU of regions as "
        "small as the refined ones.",
        "",
        "| model | method | stage | IoU | ceiling | place | size-matched IoU |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in known.to_dict("records"):
        cells = [
            f"{_number(row[name])} ({_number(row[f'{name}_low'])} to {_number(row[f'{name}_high'])})"
            for name in ("iou", "ceiling", "place")
        ]
        lines.append(
            f"| {row['model']} | {row['method']} | {row['stage']} | {' | '.join(cells)} | {_number(row['size_matched_iou'])} |"
        )
    return [*lines, ""]


def _across(table: pd.DataFrame) -> list[str]:
    """Mean over the safety sets, of each pair of methods on one set."""
    lines = [
        "## Different methods on the same set",
        "",
        "Mean IoU over the safety sets of the weights that two methods' regions own, in brackets the chance floor, and the "
        "overlap coefficient, before and after refinement.",
        "",
        "| model | methods | IoU before | coefficient | IoU after | coefficient |",
        "|---|---|---|---|---|---|",
    ]
    means = table.groupby(["model", "a", "b", "stage"], sort=False)[["iou", "floor_iou", "overlap_coefficient"]].mean()
    for model, a, b in dict.fromkeys(key[:3] for key in means.index):
        cells = []
        for stage in ("raw", "refined"):
            row = means.loc[(model, a, b, stage)]
            cells += [f"{_number(row['iou'])} ({_number(row['floor_iou'])})", _number(row["overlap_coefficient"])]
        lines.append(f"| {model} | {a}, {b} | {' | '.join(cells)} |")
    return [*lines, ""]


def _evaluation(table: pd.DataFrame) -> list[str]:
    lines = [
        "## Models without their regions",
        "",
        "Share of held-out harmful prompts refused, of harmless prompts refused, and perplexity; in brackets the range over "
        "random regions of the same size in every matrix. The last column says whether the region removes more refusals than "
        "any of these.",
        "",
        "| model | method | set | region | weights | refused | harmless refused | perplexity | more than random |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (model, method, name), rows in table.groupby(["model", "method", "set"], sort=False):
        for condition in ("intact", "raw", "refined"):
            (row,) = rows[rows["condition"] == condition].to_dict("records")
            controls = rows[rows["condition"] == f"random_{condition}"]
            cells = [
                _beside(row, controls, "refusal_rate", "{:.2f}"),
                _beside(row, controls, "over_refusal_rate", "{:.2f}"),
                _beside(row, controls, "perplexity", "{:.3g}"),
            ]
            share = "" if pd.isna(row["share_of_weights"]) else f"{row['share_of_weights']:.3f}"
            verdict = (
                "" if condition == "intact" else "yes" if row["removes_more_than_random"] in (True, "True") else "no"
            )
            lines.append(f"| {model} | {method} | {name} | {condition} | {share} | {' | '.join(cells)} | {verdict} |")
    return [*lines, ""]


def _beside(row: dict, controls: pd.DataFrame, column: str, form: str) -> str:
    value = form.format(row[column])
    if not len(controls):
        return value
    low, high = form.format(controls[column].min()), form.format(controls[column].max())
    return f"{value} ({low})" if low == high else f"{value} ({low}–{high})"


def _refusals(sets: dict[str, dict], names: list[str]) -> list[str]:
    by_model = {name.split(".")[0]: of for name, of in sets.items()}
    lines = ["| model | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for model, of in by_model.items():
        lines.append(f"| {model} | " + " | ".join(f"{of[name]['share_refused']:.2f}" for name in names) + " |")
    return lines


def _cut(sets: dict[str, dict]) -> list[str]:
    """How many responses were cut at the length limit, empty, or left out, over the sets of each model."""
    lines = []
    for model, of in {name.split(".")[0]: of for name, of in sets.items()}.items():
        n, n_cut, n_empty, n_out = (
            sum(facts.get(key, 0) for facts in of.values()) for key in ("n_samples", "n_cut", "n_empty", "n_left_out")
        )
        left_out = f", of which {n_out}, without a token, were left out" if n_out else ""
        # A response that the model ended has a token at least, so those left out were cut as well; `n_cut` is of the
        # others.
        lines.append(
            f"{model}: of {n + n_out} responses {n_cut + n_out} were cut at the length limit, {n_empty} empty{left_out}.  "
        )
    return lines


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f}"
