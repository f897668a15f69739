"""From the regions in a plan to what is made of them: overlap tables, comparisons, evaluation, figures, the report."""

from pathlib import Path

from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.datasets import DatasetSpec
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.models import ModelSpec
from safety_regions.config.registries import responding
from safety_regions.files import sha256_of_file
from safety_regions.planning.data import other_prompts
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes import prompt_overlap_recipe
from safety_regions.planning.replicates import add_comparison

STYLE = Path(__file__).parents[1] / "report" / "figures" / "paper.mplstyle"


def add_results(plan: Plan) -> None:
    """Add everything that follows from regions, and make the report the target."""
    parts = {"prompt_overlap": _prompt_overlap(plan)}
    for model in plan.run.models:
        methods = [method for name, method in plan.regions if name == model]
        compared = {f"overlap/{model}.{method}": _overlap(plan, model, method) for method in methods}
        compared |= {
            f"replicates/{model}.{method}": table
            for method in methods
            if (table := add_comparison(plan, model, method))
        }
        compared |= _across(plan, model)
        drawn = {role: figures for method in methods for role, figures in _drawn(plan, model, method).items()}
        plan.add_batches("overlap", model, list(compared.values()), plan.run.machine.tables_per_job)
        plan.add_batches("draw", model, list(drawn.values()))
        parts |= compared | drawn | _evaluation(plan, model)
    _report(plan, parts)


def _prompt_overlap(plan: Plan) -> Artifact:
    datasets = plan.run.datasets
    prompts = {name: plan.prompts[name] for name in [*datasets.safety, *datasets.utility]}
    recipe = prompt_overlap_recipe({name: a.digest for name, a in prompts.items()}, datasets.near_duplicate)
    return plan.add(Artifact(recipe, "prompt_overlap", prompts))


def _overlap(plan: Plan, model: str, method: str) -> Artifact:
    run, regions = plan.run, plan.regions[model, method]
    recipe = {
        "kind": "overlap",
        "version": VERSIONS["overlap"],
        "safety": [[name, regions[name].digest] for name in run.datasets.safety],
        "utility": [[name, regions[name].digest] for name in run.datasets.utility],
        "p": run.thresholds.p,
        "orders": run.overlap.model_dump(mode="json"),
    }
    plan.overlaps[model, method] = plan.add(Artifact(recipe, f"{model}.{method}", regions))
    return plan.overlaps[model, method]


def figure_context(config: dict, model: str, method: str) -> dict:
    """What a figure of a run says in its footer; `config` as in the recipe of the run's report."""
    datasets, thresholds = config["datasets"], config["thresholds"]
    return {
        "model": model,
        "method": method,
        "n_samples": datasets["n_samples"],
        "q": thresholds["q"],
        "p": thresholds["p"],
        "scope": thresholds["scope"],
        "safety": datasets["safety"],
        "utility": datasets["utility"],
    }


def _drawing(kind: str, plan: Plan, model: str, method: str) -> dict:
    context = figure_context(plan.run.model_dump(mode="json"), model, method)
    return {"kind": kind, "version": VERSIONS[kind], "style": sha256_of_file(STYLE), "context": context}


def _drawn(plan: Plan, model: str, method: str) -> dict[str, Artifact]:
    """All figures of a method: those of its overlap, and of how it found its regions."""
    drawn = {f"figures/{model}.{method}": _figures(plan, model, method)}
    if CATALOGUE[method].curves == "layer_curves":
        drawn[f"curves/{model}.{method}"] = _layer_curves(plan, model, method)
    return drawn


def _figures(plan: Plan, model: str, method: str) -> Artifact:
    overlap = plan.overlaps[model, method]
    recipe = _drawing("figures", plan, model, method) | {"overlap": overlap.digest}
    plan.figures[model, method] = plan.add(Artifact(recipe, f"{model}.{method}", {"overlap": overlap}))
    return plan.figures[model, method]


def _layer_curves(plan: Plan, model: str, method: str) -> Artifact:
    regions = plan.regions[model, method]
    recipe = _drawing("layer_curves", plan, model, method)
    recipe |= {"regions": [[name, a.digest] for name, a in regions.items()]}
    return plan.add(Artifact(recipe, f"{model}.{method}", regions))


def _across(plan: Plan, model: str) -> dict[str, Artifact]:
    """The regions of a model's methods on the weights that they own, if two of them own any."""
    owning = {
        method: regions
        for (name, method), regions in plan.regions.items()
        if name == model and CATALOGUE[method].granularity != "adapter"
    }
    if len(owning) < 2:
        return {}
    run = plan.run
    recipe = {
        "kind": "across",
        "version": VERSIONS["across"],
        "model": plan.models[model].digest,
        "regions": {method: {name: a.digest for name, a in regions.items()} for method, regions in owning.items()},
        "safety": run.datasets.safety,
        "utility": run.datasets.utility,
        "q": run.thresholds.q,
        "p": run.thresholds.p,
    }
    inputs = {f"{method}/{name}": a for method, regions in owning.items() for name, a in regions.items()}
    across = Artifact(recipe, model, {"model": plan.models[model], **inputs})
    return {f"across/{model}": plan.add(across)}


def _evaluation(plan: Plan, model: str) -> dict[str, Artifact]:
    """What becomes of the model without regions: one table per method, all made by one job."""
    options, run = plan.run.evaluate, plan.run
    if options is None:
        return {}
    sets = options.sets or run.datasets.safety[:1]
    texts = options.texts or responding(run, plan.registries.datasets)
    asked = {
        "harmful": options.harmful or sets,
        "over_refusal": options.over_refusal or run.datasets.utility,
        "texts": texts,
    }
    offset = run.datasets.offset + run.datasets.n_samples if options.offset is None else options.offset
    prompts = {
        role: {name: other_prompts(plan, name, options.n_prompts, offset, options.seed) for name in names}
        for role, names in asked.items()
    }
    tables = {method: _evaluated(plan, model, method, sets, prompts) for name, method in plan.regions if name == model}
    plan.add_batches("evaluate", model, list(tables.values()))
    return {f"evaluate/{model}.{method}": table for method, table in tables.items()}


def _evaluated(
    plan: Plan, model: str, method: str, sets: list[str], prompts: dict[str, dict[str, Artifact]]
) -> Artifact:
    run, regions = plan.run, plan.regions[model, method]
    assert run.evaluate is not None
    recipe = {
        "kind": "evaluate",
        "version": VERSIONS["evaluate"],
        "model": plan.models[model].digest,
        "method": method,
        "safety": [[name, regions[name].digest] for name in sets],
        "utility": [[name, regions[name].digest] for name in run.datasets.utility],
        **{role: [[name, a.digest] for name, a in of.items()] for role, of in prompts.items()},
        "q": run.thresholds.q,
        "p": run.thresholds.p,
        "options": run.evaluate.model_dump(mode="json", include={"seed", "max_new_tokens", "replace", "n_random"}),
    }
    inputs = {"model": plan.models[model]}
    inputs |= {f"region/{name}": regions[name] for name in [*sets, *run.datasets.utility]}
    inputs |= {f"{role}/{name}": a for role, of in prompts.items() for name, a in of.items()}
    if CATALOGUE[method].needs_adapter:
        inputs["adapter"] = plan.adapters[model, method]
        recipe["adapter"] = inputs["adapter"].digest
    return plan.add(Artifact(recipe, f"{model}.{method}", inputs))


def _report(plan: Plan, parts: dict[str, Artifact]) -> None:
    run = plan.run
    recipe = {
        "kind": "report",
        "version": VERSIONS["report"],
        "parts": {role: artifact.digest for role, artifact in parts.items()},
        "style": sha256_of_file(STYLE),
        "config": run.model_dump(mode="json", exclude={"machine", "registry"}),
        "sources": [_source("dataset", n, plan.registries.datasets[n]) for n in plan.datasets]
        + [_source("model", n, plan.registries.models[n]) for n in plan.models],
    }
    plan.targets.append(plan.add(Artifact(recipe, run.name, parts)))


def _source(what: str, name: str, spec: DatasetSpec | ModelSpec) -> dict:
    pin = spec.source.model_dump(mode="json")
    pin = {key: pin[key] for key in ("kind", "id", "revision", "url", "sha256", "base") if pin.get(key)}
    return {"what": what, "name": name, "source": pin, "licence": spec.licence, "citation": spec.citation}
