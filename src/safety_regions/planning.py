"""From a configuration to its plan: responses, adapters, statistics, regions.

What these are made from is planned in `planning_data`, what is made of them in `planning_results`. What a run leaves to a default (`null`) is decided here, so recipes hold what was decided and not that it was left open.
"""

from safety_regions.artifacts import Artifact
from safety_regions.config.base import Section
from safety_regions.config.methods import Adapter, Nlsr, SafeLayer
from safety_regions.config.models import AlignedModel
from safety_regions.config.registries import Registries, responding
from safety_regions.config.run import RunConfig
from safety_regions.methods.catalogue import CATALOGUE
from safety_regions.plan import Plan
from safety_regions.planning_data import add_dataset, add_model, add_prompts, other_prompts
from safety_regions.planning_results import add_results
from safety_regions.planning_samples import Sampled, add_samples, wanted
from safety_regions.recipes import VERSIONS
from safety_regions.variants import OWN, Variant, named

Needs = tuple[dict, dict[str, Artifact]]
"""What else a method looks at: its part of the recipe, and the artifacts by role."""


def make_plan(run: RunConfig, registries: Registries) -> Plan:
    """The plan of a validated configuration. Raises `UserError` for a local data file that is not there."""
    plan = Plan(run, registries)
    for name in (*run.datasets.safety, *run.datasets.utility):
        add_prompts(plan, name)
    for model in run.models:
        add_model(plan, model)
    for model in run.models:
        samples = add_samples(plan, model)
        for method, options in run.enabled_methods().items():
            _add_method(plan, model, method, options, wanted(plan, method, samples))
        _add_shared_jobs(plan, model)
    add_results(plan)
    return plan


def _add_method(plan: Plan, model: str, method: str, options: Section, samples: list[Sampled]) -> None:
    """A region of every sample, and the statistic it follows from where the method keeps one."""
    info, thresholds = CATALOGUE[method], plan.run.thresholds
    cut = {"grid": thresholds.grid, "scope": thresholds.scope, "selection": VERSIONS["selection"]}
    loaded = {"model": plan.models[model]}
    measuring = options.model_dump(mode="json", exclude={*info.selecting, *info.naming})
    selecting = options.model_dump(mode="json", include={*info.selecting})
    needed, needs = _needs(plan, model, options)
    base = {"method": method, "version": info.version}
    made: dict[str, dict[Variant, Artifact]] = {"statistics": {}, "regions": {}}
    for sample in samples:
        science = {
            **base,
            "options": measuring,
            "model": loaded["model"].digest,
            "pairs": sample.pairs.digest,
            **needed,
        }
        science |= {"part": sample.part} if sample.part else {}
        inputs = loaded | {"pairs": sample.pairs, **needs}
        stem = f"{model}/{method}/{named(sample.variant)}"
        if info.keeps_statistics:
            recipe = {"kind": "statistics", **science}
            kept = plan.add(Artifact("statistics", recipe, f"statistics/{stem}", ".safetensors", inputs))
            made["statistics"][sample.variant] = kept
            science = {**base, "model": loaded["model"].digest, "statistics": kept.digest}
            science |= {"options": selecting} if selecting else {}
            inputs = loaded | {"statistics": kept}
            if info.needs_adapter:
                science, inputs = science | {"adapter": needed["adapter"]}, inputs | {"adapter": needs["adapter"]}
        recipe = {"kind": "region", **science, **cut}
        made["regions"][sample.variant] = plan.add(Artifact("region", recipe, f"regions/{stem}", ".safetensors", inputs))  # fmt: skip
    key = model, method
    plan.statistics[key] = made["statistics"]
    plan.regions[key] = {name: region for (name, variant), region in made["regions"].items() if variant == OWN}
    plan.replicates[key] = {of: region for of, region in made["regions"].items() if of[1] != OWN}


def _add_shared_jobs(plan: Plan, model: str) -> None:
    """The methods of a model share its jobs: one measures, set after set, so that methods share what is read; one selects."""
    keys = [key for key in plan.regions if key[0] == model]
    regions = {key: {(name, OWN): a for name, a in plan.regions[key].items()} | plan.replicates[key] for key in keys}
    kept = {key: regions[key] for key in keys if CATALOGUE[key[1]].keeps_statistics}
    first: dict[str, Variant] = {}
    of_set: dict[Variant, dict[str, Artifact]] = {}
    for key in keys:
        for variant, made in (plan.statistics[key] if key in kept else regions[key]).items():
            # Two variants may come to the same artifact, as one with the run's own template does.
            of_set.setdefault(first.setdefault(made.key, variant), {})[made.key] = made
    for artifacts in _whole(list(of_set.values()), plan.run.machine.datasets_per_job):
        plan.add_batches("measure", model, artifacts, len(artifacts))
    plan.add_batches("select", model, [region for of in kept.values() for region in of.values()])


def _whole(sets: list[dict[str, Artifact]], most: int) -> list[list[Artifact]]:
    """The artifacts of consecutive sets, at most so many together but never a part of a set's: its methods share a pass over it."""
    jobs: list[list[Artifact]] = []
    for of_set in sets:
        if not jobs or len(jobs[-1]) + len(of_set) > most:
            jobs.append([])
        jobs[-1] += of_set.values()
    return jobs


def _needs(plan: Plan, model: str, options: Section) -> Needs:
    if isinstance(options, SafeLayer):
        return _layer_needs(plan, options)
    if isinstance(options, Nlsr):
        adapter = _add_adapter(plan, model, options.adapter)
        return {"adapter": adapter.digest}, {"adapter": adapter}
    return {}, {}


def _layer_needs(plan: Plan, options: SafeLayer) -> Needs:
    config = plan.run.datasets
    behind = config.offset + config.n_samples
    normal = other_prompts(plan, options.normal or config.utility[0], config.n_samples, behind, config.seed)
    names = options.over_rejection or config.utility
    asked = {name: other_prompts(plan, name, options.n_over_rejection, 0, config.seed) for name in names}
    recipe = {"normal": normal.digest, "over_rejection": {name: a.digest for name, a in asked.items()}}
    return recipe, {"normal": normal, **{f"over_rejection/{name}": a for name, a in asked.items()}}


def _add_adapter(plan: Plan, model: str, options: Adapter) -> Artifact:
    """The model itself where it was aligned with an adapter, else one trained for it, once."""
    if isinstance(plan.registries.models[model].source, AlignedModel):
        plan.adapters[model] = plan.models[model]
    if model not in plan.adapters:
        config = plan.run.datasets
        harmful, harmless = (
            options.harmful or config.safety[:2],
            options.harmless or responding(plan.run, plan.registries.datasets),
        )
        offset = config.offset + config.n_samples if options.offset is None else options.offset
        decided = options.model_dump(mode="json") | {"harmful": harmful, "harmless": harmless, "offset": offset}
        data = {name: add_dataset(plan, name) for name in [*harmful, *harmless]}
        recipe = {
            "kind": "adapter",
            "version": VERSIONS["adapter"],
            "model": plan.models[model].digest,
            "data": {name: rows.digest for name, rows in data.items()},
            "options": decided,
        }
        inputs = {"model": plan.models[model], **{f"data/{name}": rows for name, rows in data.items()}}
        plan.adapters[model] = plan.add(Artifact("adapter", recipe, f"adapters/{model}", "/lora.json", inputs))
    return plan.adapters[model]
