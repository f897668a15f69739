"""Figures and tables of all models and methods in, one folder to look at out: report.html and summary.md first,
everything beside them.
"""

import json
import shutil
from pathlib import Path

import pandas as pd
import yaml

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import DIGITS, RESULTS
from safety_regions.claims.assessment import Assessment, assess
from safety_regions.claims.confounds import pair_covariates
from safety_regions.claims.rows import STAGES, at
from safety_regions.files import atomic_path, canonical_json, write_text
from safety_regions.report.dvc_metrics import write_metrics
from safety_regions.report.figures.ceiling import write_ceiling
from safety_regions.report.figures.confounds import pair_rows, write_confounds
from safety_regions.report.figures.evaluate import write_evaluation
from safety_regions.report.figures.headline import write_headline
from safety_regions.report.figures.responses import write_responses
from safety_regions.report.figures.verdicts import write_verdicts
from safety_regions.report.inputs import Gathered
from safety_regions.report.page.appendix import write_appendix
from safety_regions.report.page.gallery import list_figures
from safety_regions.report.page.page import Provenance, write_page
from safety_regions.report.summary import summary
from safety_regions.table_files import write_csv

FIGURE_KINDS = ("figures", "curves")


def write_report(recipe: dict, parts: dict[str, Path], output: Path) -> None:
    """Write report.html, appendix.pdf, summary.md, every table and figure of the whole run, what DVC shows, and copies
    of all other figures. Raises `UserError` for parts that are missing, damaged, or not the recipe's.
    """
    for role, path in parts.items():
        receipts.check(path, recipe["parts"][role])
    config, gathered = recipe["config"], Gathered.of(recipe["config"], parts)
    assessment = assess(
        config, gathered.overlaps, gathered.replicates, gathered.evaluated, gathered.prompt_overlap, gathered.sets
    )
    sources = pd.json_normalize(recipe["sources"])
    _write_tables(gathered, sources, output)
    _write_assessment(gathered, assessment, output)
    _copy_figures(gathered.parts, output)
    write_text(output / "config.yaml", yaml.safe_dump(json.loads(canonical_json(config)), sort_keys=False))
    page = summary(config, gathered.headline, gathered.across, gathered.evaluated, gathered.sets, assessment)
    write_text(output / "summary.md", page)
    _write_page(recipe, gathered, assessment, sources, output)
    receipts.write(output, recipe, {}, versions=("matplotlib", "numpy", "pandas", "scipy", "jinja2", "pypdf"))


def _write_tables(gathered: Gathered, sources: pd.DataFrame, output: Path) -> None:
    config = gathered.config
    write_csv(gathered.pairs, output / "iou.csv")
    write_headline(gathered.headline, config, output)
    if len(gathered.across):
        write_csv(gathered.across, output / "across.csv")
    if len(gathered.evaluated):
        write_evaluation(gathered.evaluated, output)
    write_metrics(config, gathered.headline, gathered.pairs, gathered.evaluated, output)
    write_csv(sources, output / "sources.csv")


def _write_assessment(gathered: Gathered, assessment: Assessment, output: Path) -> None:
    """What the numbers mean: estimates with their intervals, what else they go with, and the verdicts."""
    config = gathered.config
    write_text(output / "verdicts.json", assessment.to_json())
    write_verdicts(json.loads(assessment.to_json()), config, output)
    write_csv(assessment.estimates, output / "estimates.csv")
    write_ceiling(assessment.estimates, config, output)
    write_csv(assessment.confounds, output / "confounds.csv")
    write_confounds(_confounded(gathered), assessment.confounds, config, output)
    if len(assessment.responses):
        write_responses(assessment.responses, assessment.estimates, config, output)


def _confounded(gathered: Gathered) -> pd.DataFrame:
    """Every pair of sets with what the two have in common, of all models and methods, at the fractions of the headline."""
    thresholds, sets = gathered.config["thresholds"], gathered.config["datasets"]["safety"]
    rows = []
    for name, tables in gathered.overlaps.items():
        stages = [at(tables["pairs"], stage, thresholds["q"], thresholds["p"]) for stage in STAGES]
        covariates = pair_covariates(sets, gathered.prompt_overlap, gathered.sets[name])
        model, method = name.split(".")
        rows.append(pair_rows(model, method, pd.concat(stages), sets, covariates))
    return pd.concat(rows, ignore_index=True)


def _write_page(recipe: dict, gathered: Gathered, assessment: Assessment, sources: pd.DataFrame, output: Path) -> None:
    config, digest = recipe["config"], receipts.recipe_digest(recipe)
    # Where a report of this recipe lies, wherever this one is written.
    own = f"{RESULTS}/report/{config['name']}.{digest[:DIGITS]}"
    figures = list_figures(output, gathered.parts, recipe["parts"], (own, digest))
    tables = {
        "pairs": gathered.pairs,
        "headline": gathered.headline,
        "estimates": assessment.estimates,
        "confounds": assessment.confounds,
        "responses": assessment.responses,
        "evaluated": gathered.evaluated,
        "across": gathered.across,
        "sets": _sets_table(gathered.sets),
        "sources": sources,
    }
    write_appendix(config, figures, output)
    verdicts = json.loads(assessment.to_json())
    write_page(config, tables, verdicts, figures, Provenance(own, digest), output / "report.html")


def _sets_table(sets: dict[str, dict[str, dict]]) -> pd.DataFrame:
    """One row per model and set; responses are the same for all its methods."""
    by_model = {name.split(".")[0]: of for name, of in sets.items()}
    return pd.DataFrame(
        [{"model": model, "set": name, **facts} for model, of in by_model.items() for name, facts in of.items()]
    )


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
