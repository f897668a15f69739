"""From the regions in a plan to what is made of them: overlap tables, comparisons, evaluation, figures, the report."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.datasets import DatasetSpec
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.model_method import ModelMethod, PartRole
from safety_regions.config.models import ModelSpec
from safety_regions.config.registries import responding
from safety_regions.config.variants import HALF, RESPONSES, Variant
from safety_regions.files import sha256_of_file
from safety_regions.planning.constrain import add_constrained
from safety_regions.planning.data import judge_of, other_prompts
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes.data import OfSet, PromptOverlapRecipe, PromptsRecipe
from safety_regions.planning.recipes.report import FigureContext, FiguresRecipe, LayerCurvesRecipe, ReportRecipe
from safety_regions.planning.recipes.tables import (
    AcrossRecipe,
    AlignmentRecipe,
    EvaluateRecipe,
    OfVariant,
    OverlapRecipe,
)
from safety_regions.planning.replicates import add_comparison
from safety_regions.planning.samples import evaluated, evaluated_sets, lending_sets

STYLE = Path(__file__).parents[1] / "report" / "figures" / "paper.mplstyle"
EVALUATE_OPTIONS = {"seed", "max_new_tokens", "replace", "controls", "n_random", "n_matched"}
"""Those of `config.evaluate.Evaluate` that an evaluation itself goes by."""
Parts = dict[PartRole, Artifact]
"""Parts of the report."""
Prompts = dict[str, dict[str, Artifact[PromptsRecipe]]]
"""By what a model is asked with them, then by set."""


def add_results(plan: Plan) -> None:
    """Add everything that follows from regions, and make the report the target."""
    parts: Parts = {PartRole("prompt_overlap"): _prompt_overlap(plan)}
    for model in plan.run.models:
        methods = [of for of in plan.regions if of.model == model]
        compared: Parts = {PartRole("overlap", *of): _overlap(plan, of) for of in methods}
        compared |= {PartRole("replicates", *of): table for of in methods if (table := add_comparison(plan, of))}
        compared |= _across(plan, model)
        aligned = _aligned(plan, model)
        drawn: Parts = {role: figures for of in methods for role, figures in _drawn(plan, of).items()}
        plan.add_batches("overlap", model, list(compared.values()), plan.run.machine.tables_per_job)
        # Of two models: as a job of its own it keeps no table of one of them waiting for the other.
        plan.add_batches("overlap", model, list(aligned.values()), plan.run.machine.tables_per_job)
        plan.add_batches("draw", model, list(drawn.values()))
        parts |= compared | aligned | drawn | _evaluation(plan, model) | add_constrained(plan, model)
    _report(plan, {str(role): part for role, part in parts.items()})


def _of_sets(artifacts: Mapping[str, Artifact], names: Iterable[str]) -> list[OfSet]:
    return [OfSet(name, artifacts[name].digest) for name in names]


def _prompt_overlap(plan: Plan) -> Artifact[PromptOverlapRecipe]:
    datasets = plan.run.datasets
    names = [*datasets.safety, *datasets.utility]
    recipe = PromptOverlapRecipe(prompts=_of_sets(plan.prompts, names), near_duplicate=datasets.near_duplicate)
    prompts = {name: plan.prompts[name] for name in names}
    return plan.add(Artifact(recipe, "prompt_overlap", prompts))


def _overlap(plan: Plan, of: ModelMethod) -> Artifact[OverlapRecipe]:
    run, regions = plan.run, plan.regions[of]
    recipe = OverlapRecipe(
        safety=_of_sets(regions, run.datasets.safety),
        utility=_of_sets(regions, run.datasets.utility),
        p=run.thresholds.p,
        orders=run.overlap.model_dump(mode="json"),
    )
    plan.overlaps[of] = plan.add(Artifact(recipe, of.name, regions))
    return plan.overlaps[of]


def _drawn(plan: Plan, of: ModelMethod) -> Parts:
    """All figures of a method: those of its overlap, and of how it found its regions."""
    context, style = _context(plan, of), sha256_of_file(STYLE)
    overlap, regions = plan.overlaps[of], plan.regions[of]
    figures = FiguresRecipe(style=style, context=context, overlap=overlap.digest)
    plan.figures[of] = plan.add(Artifact(figures, of.name, {"overlap": overlap}))
    drawn: Parts = {PartRole("figures", *of): plan.figures[of]}
    if CATALOGUE[of.method].curves == "layer_curves":
        curves = LayerCurvesRecipe(style=style, context=context, regions=_of_sets(regions, regions))
        drawn[PartRole("curves", *of)] = plan.add(Artifact(curves, of.name, regions))
    return drawn


def _context(plan: Plan, of: ModelMethod) -> FigureContext:
    """With the titles of the registries."""
    known, sets = plan.registries, plan.run.datasets
    titles = {name: known.datasets[name].title for name in [*sets.safety, *sets.utility]}
    return replace(
        FigureContext.of_run(plan.run.model_dump(mode="json"), *of),
        model_title=known.models[of.model].title,
        set_titles={name: title for name, title in titles.items() if title} or None,
    )


def _across(plan: Plan, model: str) -> Parts:
    """The regions of a model's methods on the weights that they own, if two of them own any."""
    owning = {
        of.method: regions
        for of, regions in plan.regions.items()
        if of.model == model and CATALOGUE[of.method].granularity != "adapter"
    }
    if len(owning) < 2:
        return {}
    run = plan.run
    recipe = AcrossRecipe(
        model=plan.models[model].digest,
        regions={method: {name: a.digest for name, a in regions.items()} for method, regions in owning.items()},
        safety=run.datasets.safety,
        utility=run.datasets.utility,
        q=run.thresholds.q,
        p=run.thresholds.p,
    )
    inputs = {f"{method}/{name}": a for method, regions in owning.items() for name, a in regions.items()}
    across = Artifact(recipe, model, {"model": plan.models[model], **inputs})
    return {PartRole("across", model): plan.add(across)}


def _aligned(plan: Plan, model: str) -> Parts:
    """The regions of a model before and after its alignment, of each method whose regions are the model's own, if the
    run has it before, too.
    """
    before = plan.registries.models[model].unaligned
    if before is None or before not in plan.run.models:
        return {}
    return {
        PartRole("alignment", *of, before): _alignment(plan, ModelMethod(before, of.method), of)
        for of in plan.regions
        if of.model == model and CATALOGUE[of.method].granularity != "adapter"
    }


def _alignment(plan: Plan, before: ModelMethod, after: ModelMethod) -> Artifact[AlignmentRecipe]:
    """Of other draws and fewer prompts it would tell the same; regions with borrowed responses are those of
    evaluation.
    """
    sides = {
        side: {Variant(name): region for name, region in plan.regions[of].items()}
        | {variant: a for variant, a in plan.replicates[of].items() if variant.which in (HALF, RESPONSES)}
        for side, of in (("before", before), ("after", after))
    }
    recipe = AlignmentRecipe(
        before=[OfVariant.of(variant, a.digest) for variant, a in sides["before"].items()],
        after=[OfVariant.of(variant, a.digest) for variant, a in sides["after"].items()],
        utility=plan.run.datasets.utility,
        p=plan.run.thresholds.p,
    )
    inputs = {variant.role(side): a for side, of in sides.items() for variant, a in of.items()}
    return plan.add(Artifact(recipe, after.name, inputs))


def _evaluation(plan: Plan, model: str) -> Parts:
    """What becomes of the model without regions: one table per method."""
    options, run = plan.run.evaluate, plan.run
    if options is None:
        return {}
    sets = evaluated_sets(plan)
    asked = {
        "harmful": options.harmful or sets,
        "over_refusal": options.over_refusal or run.datasets.utility,
        "texts": options.texts or responding(run, plan.registries.datasets),
    }
    offset = run.datasets.offset + run.datasets.n_samples if options.offset is None else options.offset
    # A model that has lost a region is asked nothing that the region was identified from.
    prompts = {
        role: {
            name: other_prompts(plan, name, options.n_prompts, offset, options.seed, apart_from=[name, *sets])
            for name in names
        }
        for role, names in asked.items()
    }
    tables: Parts = {
        PartRole("evaluate", *of): _evaluated(plan, of, sets, prompts)
        for of in plan.regions
        if of.model == model and evaluated(plan, of)
    }
    plan.add_batches("evaluate", model, list(tables.values()), run.machine.tables_per_job)
    return tables


def _evaluated(plan: Plan, of: ModelMethod, sets: list[str], prompts: Prompts) -> Artifact[EvaluateRecipe]:
    run, regions, model = plan.run, plan.regions[of], plan.models[of.model]
    assert run.evaluate is not None
    adapter = plan.adapters[of] if CATALOGUE[of.method].needs_adapter else None
    harmless = {name: plan.replicates[of][variant] for name, variant in lending_sets(plan).items()}
    judge = judge_of(plan)
    recipe = EvaluateRecipe(
        model=model.digest,
        method=of.method,
        safety=_of_sets(regions, sets),
        utility=_of_sets(regions, run.datasets.utility),
        harmless=_of_sets(harmless, harmless),
        harmful=_of_sets(prompts["harmful"], prompts["harmful"]),
        over_refusal=_of_sets(prompts["over_refusal"], prompts["over_refusal"]),
        texts=_of_sets(prompts["texts"], prompts["texts"]),
        q=run.thresholds.q,
        p=run.thresholds.p,
        doses=sorted({*run.evaluate.doses, run.thresholds.q}),
        options=run.evaluate.model_dump(mode="json", include=EVALUATE_OPTIONS),
        adapter=adapter.digest if adapter else None,
        judge=judge.digest if judge else None,
    )
    inputs: dict[str, Artifact[Any]] = {"model": model}
    inputs |= {f"region/{name}": regions[name] for name in [*sets, *run.datasets.utility]}
    inputs |= {f"harmless/{name}": a for name, a in harmless.items()}
    inputs |= {f"{role}/{name}": a for role, of_sets in prompts.items() for name, a in of_sets.items()}
    inputs |= {role: a for role, a in (("adapter", adapter), ("judge", judge)) if a}
    return plan.add(Artifact(recipe, of.name, inputs))


def _report(plan: Plan, parts: dict[str, Artifact]) -> None:
    run = plan.run
    recipe = ReportRecipe(
        parts={role: artifact.digest for role, artifact in parts.items()},
        style=sha256_of_file(STYLE),
        config=run.model_dump(mode="json", exclude={"goal", "machine", "registry"}),
        sources=[
            _source("dataset", name, plan.registries.datasets[name], a.recipe.sha256)
            for name, a in plan.datasets.items()
        ]
        + [_source("model", name, plan.registries.models[name]) for name in plan.models],
    )
    plan.targets.append(plan.add(Artifact(recipe, run.name, parts)))


def _source(what: str, name: str, spec: DatasetSpec | ModelSpec, sha256: str | None = None) -> dict:
    """`sha256`: of a local file, whether its entry says it or not."""
    pin = spec.source.model_dump(mode="json") | ({"sha256": sha256} if sha256 else {})
    pin = {key: pin[key] for key in ("kind", "id", "revision", "url", "sha256", "base") if pin.get(key)}
    title = {"title": spec.title} if spec.title else {}
    return {"what": what, "name": name, **title, "source": pin, "licence": spec.licence, "citation": spec.citation}
