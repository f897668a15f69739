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
from safety_regions.claims.alignment import COLUMNS as ALIGNMENT_COLUMNS
from safety_regions.claims.alignment import Aligned, alignment_rows
from safety_regions.claims.assessment import Assessment, assess
from safety_regions.claims.confounds import pair_covariates
from safety_regions.claims.prompt_numbers import COLUMNS as NUMBERS_COLUMNS
from safety_regions.claims.prompt_numbers import Numbered, prompt_number_rows
from safety_regions.claims.rows import at
from safety_regions.config.claims import Claims
from safety_regions.config.model_method import ModelMethod
from safety_regions.errors import UserError
from safety_regions.files import atomic_path, canonical_json, write_text
from safety_regions.overlap.counts import STAGES
from safety_regions.planning.recipes.report import ReportRecipe
from safety_regions.report.dvc_metrics import write_metrics
from safety_regions.report.figures.alignment import write_alignment
from safety_regions.report.figures.ceiling import write_ceiling
from safety_regions.report.figures.confounds import pair_rows, write_confounds
from safety_regions.report.figures.constrain import write_constrained
from safety_regions.report.figures.doses import write_doses
from safety_regions.report.figures.drop import write_drop
from safety_regions.report.figures.evaluate import write_evaluation
from safety_regions.report.figures.headline import write_headline
from safety_regions.report.figures.prompt_numbers import write_prompt_numbers
from safety_regions.report.figures.responses import write_responses
from safety_regions.report.figures.verdicts import without_table, write_verdicts
from safety_regions.report.inputs import Facts, Gathered, Part
from safety_regions.report.names import Names
from safety_regions.report.page.appendix import write_appendix
from safety_regions.report.page.gallery import Maker, list_figures
from safety_regions.report.page.page import write_page
from safety_regions.report.summary import summary
from safety_regions.report.tables import ReportTables
from safety_regions.steps.arguments import Paths
from safety_regions.table_files import write_csv

FIGURE_KINDS = ("figures", "curves")


def write_report(recipe: ReportRecipe, parts: Paths, output: Path) -> None:
    """Write report.html, appendix.pdf, summary.md, every table and figure of the whole run, what DVC shows, and copies
    of all other figures. Raises `UserError` for parts that are missing, damaged, or not the recipe's.
    """
    if foreign := sorted({*parts} - {*recipe.parts}):
        raise UserError(f"no part {foreign[0]!r} in the recipe", where="--parts", expected=", ".join(recipe.parts))
    for role, digest in recipe.parts.items():
        receipts.check(parts[role], digest)
    config, gathered = recipe.config, Gathered.of(recipe.config, parts, recipe.parts)
    assessment = assess(
        config,
        gathered.overlaps,
        gathered.replicates,
        gathered.evaluated,
        gathered.prompt_overlap,
        gathered.sets,
        gathered.outcomes,
        constrained=gathered.constrained,
    )
    names = Names.of_sources(recipe.sources)
    alignment = _alignment(gathered, assessment.halves)
    tables = _tables(gathered, assessment, alignment, pd.json_normalize(recipe.sources))
    if len(tables.prompt_numbers):
        write_prompt_numbers(tables.prompt_numbers, config, output, names)
    _write_tables(tables, config, names, output)
    if len(gathered.evaluated):
        write_evaluation(gathered.evaluated, config["thresholds"]["q"], output, names)
        write_doses(gathered.evaluated, output, names)
    if len(alignment):
        write_alignment(alignment, config, output, names)
    _write_assessment(gathered, assessment, names, output)
    _copy_figures(gathered, output)
    write_text(output / "config.yaml", yaml.safe_dump(json.loads(canonical_json(config)), sort_keys=False))
    digest = recipe.digest
    # Where a report of this recipe lies, wherever this one is written.
    report = Maker(f"{RESULTS}/report/{config['name']}.{digest[:DIGITS]}", digest)
    _write_readings(gathered, tables, assessment, names, report, output)
    receipts.write(
        output, recipe.as_json(), {}, versions=("matplotlib", "numpy", "pandas", "pillow", "scipy", "jinja2", "pypdf")
    )


def _write_readings(
    gathered: Gathered, tables: ReportTables, assessment: Assessment, names: Names, report: Maker, output: Path
) -> None:
    """Summary, appendix and page, with titles for ids."""
    config, shown = names.config(gathered.config), tables.titled(names)
    verdicts = [names.verdict(verdict) for verdict in assessment.verdicts]
    responses = {
        names.model(model): {names.set(name): facts for name, facts in sets.items()}
        for model, sets in gathered.responses.items()
    }
    lacking = {
        names.about(*ModelMethod.parse(about)): {names.set(name): numbers for name, numbers in sets.items()}
        for about, sets in gathered.lacking.items()
    }
    write_text(output / "summary.md", summary(config, shown, responses, verdicts, lacking))
    figures = list_figures(output, gathered.parts, report, names)
    write_appendix(config, figures, output)
    write_page(config, shown, verdicts, figures, report, output / "report.html")


def _alignment(gathered: Gathered, halves: pd.DataFrame) -> pd.DataFrame:
    """Regions before and after alignment at every q, of all models that the run has both ways; empty if there is none.

    `halves`: the rows of halves.csv.
    """
    lines = Claims.model_validate(gathered.config.get("claims", {}))
    rows = []
    for part, pairs in gathered.alignments:
        sides = {"before": part.which, "after": part.model}
        of = Aligned(
            part.model,
            part.which,
            part.method,
            pairs,
            halves={
                side: halves[halves["model"].eq(model) & halves["method"].eq(part.method)]
                for side, model in sides.items()
            },
            refused={side: gathered.share_refused(model, part.method) for side, model in sides.items()},
        )
        rows.append(alignment_rows(of, gathered.config["datasets"]["safety"], lines.confidence))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=ALIGNMENT_COLUMNS)


def _prompt_numbers(gathered: Gathered, estimates: pd.DataFrame) -> pd.DataFrame:
    """IoU by number of prompts, of all models and methods that have regions from several; empty if none has.

    `estimates`: the rows of estimates.csv.
    """
    lines, datasets = Claims.model_validate(gathered.config.get("claims", {})), gathered.config["datasets"]
    rows = []
    for part in gathered.of_kind("replicates"):
        own = estimates[estimates["model"].eq(part.model) & estimates["method"].eq(part.method)]
        of = Numbered(own, gathered.replicates[part.about], datasets["safety"], datasets["n_samples"])
        rows.append(prompt_number_rows(of, lines.confidence))
    rows = [table for table in rows if len(table)]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=NUMBERS_COLUMNS)


def _tables(gathered: Gathered, assessment: Assessment, alignment: pd.DataFrame, sources: pd.DataFrame) -> ReportTables:
    return ReportTables(
        pairs=gathered.pairs,
        headline=gathered.headline,
        estimates=assessment.estimates,
        influence=assessment.influence,
        utilities=assessment.utilities,
        agreement=gathered.agreement,
        stability=assessment.stability,
        confounds=assessment.confounds,
        responses=assessment.responses,
        evaluated=gathered.evaluated_at_q,
        judged=gathered.judged,
        constrained=gathered.constrained.rates,
        moved=gathered.constrained.moved,
        across=gathered.across,
        prompt_numbers=_prompt_numbers(gathered, assessment.estimates),
        alignment=alignment[alignment["q"].eq(gathered.config["thresholds"]["q"])],
        sets=_sets_table(gathered.responses),
        shared_prompts=gathered.prompt_overlap,
        sources=sources,
    )


def _sets_table(responses: dict[str, Facts]) -> pd.DataFrame:
    """One row per model and set, without how often each response is repeated."""
    rows = [{"model": model, "set": name, **facts} for model, sets in responses.items() for name, facts in sets.items()]
    return pd.DataFrame(rows).drop(columns="repeated_responses", errors="ignore")


def _write_tables(tables: ReportTables, config: dict, names: Names, output: Path) -> None:
    write_csv(tables.pairs, output / "iou.csv")
    write_headline(tables.headline, config, output, names)
    if len(tables.across):
        write_csv(tables.across, output / "across.csv")
    if len(tables.constrained):
        write_constrained(tables.constrained, tables.moved, output, names)
    write_metrics(config, tables.headline, tables.pairs, tables.evaluated, output)
    write_csv(tables.sources, output / "sources.csv")


def _write_assessment(gathered: Gathered, assessment: Assessment, names: Names, output: Path) -> None:
    """What the numbers mean: estimates with their intervals, what else they go with, and the verdicts."""
    config = gathered.config
    write_text(output / "verdicts.json", assessment.to_json())
    write_verdicts(assessment.verdicts, config, output, names)
    write_csv(without_table(assessment.verdicts), output / "without.csv")
    write_csv(assessment.stability, output / "stability.csv")
    write_csv(assessment.influence, output / "influence.csv")
    write_csv(assessment.estimates, output / "estimates.csv")
    write_ceiling(assessment.estimates, config, output, names)
    write_drop(assessment.drops, config, output, names)
    write_csv(assessment.utilities, output / "utilities.csv")
    if len(assessment.halves):
        write_csv(assessment.halves, output / "halves.csv")
    write_csv(assessment.confounds, output / "confounds.csv")
    write_confounds(_confounded(gathered), assessment.confounds, config, output, names)
    if len(assessment.responses):
        write_responses(assessment.responses, assessment.estimates, config, output, names)


def _confounded(gathered: Gathered) -> pd.DataFrame:
    """Every pair of sets with what the two have in common, of all models and methods, at the headline's fractions."""
    return pd.concat([_confounded_pairs(gathered, part) for part in gathered.of_kind("overlap")], ignore_index=True)


def _confounded_pairs(gathered: Gathered, part: Part) -> pd.DataFrame:
    thresholds, sets = gathered.config["thresholds"], gathered.config["datasets"]["safety"]
    pairs = gathered.overlaps[part.about]["pairs"]
    stages = [at(pairs, stage, thresholds["q"], thresholds["p"]) for stage in STAGES]
    covariates = pair_covariates(sets, gathered.prompt_overlap, gathered.sets[part.about])
    return pair_rows(part.model, part.method, pd.concat(stages), sets, covariates)


def _copy_figures(gathered: Gathered, output: Path) -> None:
    for part in gathered.parts:
        if part.kind in FIGURE_KINDS:
            for file in sorted(part.path.iterdir()):
                if file.suffix in (".pdf", ".png", ".csv"):
                    _copy(file, output / f"{part.about}.{file.name}")
    _copy(gathered.prompt_overlap_file, output / "prompt_overlap.csv")


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
