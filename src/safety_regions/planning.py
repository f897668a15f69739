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
from safety_regions.recipes import VERSIONS

Needs = tuple[dict, dict[str, Artifact]]
"""What else a method looks at: its part of the recipe, and the artifacts by role."""


def make_plan(run: RunConfig, registries: Registries) -> Plan:
    """The plan of a validated configuration. Raises `UserError` for a local data file that is not there."""
    plan = Plan(run, registries)
    sets = [*run.datasets.safety, *run.datasets.utility]
    for name in sets:
        add_prompts(plan, name)
    for model in run.models:
        add_model(plan, model)
    for model in run.models:
        pairs = _add_pairs(plan, model, sets)
        for method, options in run.enabled_methods().items():
            _add_method(plan, model, method, options, pairs)
        _add_shared_jobs(plan, model)
    add_results(plan)
    return plan


def _add_pairs(plan: Plan, model: str, sets: list[str]) -> dict[str, Artifact]:
    """Prompts with responses, one artifact per set; only the policy `model` makes them depend on the model."""
    config = plan.run.responses
    own = config.policy == "model"
    owner = model if own else config.policy
    pairs = {}
    for name in sets:
        recipe = {
            "kind": "pairs",
            "version": VERSIONS["pairs"],
            "prompts": plan.prompts[name].digest,
            "policy": config.policy,
        }
        recipe |= {"model": plan.models[model].digest, "max_new_tokens": config.max_new_tokens} if own else {}
        recipe |= {"template": config.template} if config.policy == "template" else {}
        inputs = {"prompts": plan.prompts[name]} | ({"model": plan.models[model]} if own else {})
        pairs[name] = plan.add(Artifact("pairs", recipe, f"responses/{owner}/{name}", ".jsonl", inputs))
    plan.add_batches("respond", owner, list(pairs.values()))
    return pairs


def _add_method(plan: Plan, model: str, method: str, options: Section, pairs: dict[str, Artifact]) -> None:
    info = CATALOGUE[method]
    thresholds = plan.run.thresholds
    cut = {"grid": thresholds.grid, "scope": thresholds.scope, "selection": VERSIONS["selection"]}
    loaded = plan.models[model]
    measuring = options.model_dump(mode="json", exclude={*info.selecting, *info.naming})
    selecting = options.model_dump(mode="json", include={*info.selecting})
    needed, needs = _needs(plan, model, options)
    base = {"method": method, "version": info.version}
    statistics: dict[str, Artifact] = {}
    regions: dict[str, Artifact] = {}
    for name, pair in pairs.items():
        science = {**base, "options": measuring, "model": loaded.digest, "pairs": pair.digest, **needed}
        inputs = {"model": loaded, "pairs": pair, **needs}
        stem = f"{model}/{method}/{name}"
        if info.keeps_statistics:
            recipe = {"kind": "statistics", **science}
            statistics[name] = plan.add(Artifact("statistics", recipe, f"statistics/{stem}", ".safetensors", inputs))
            science = {**base, "model": loaded.digest, "statistics": statistics[name].digest}
            science |= {"options": selecting} if selecting else {}
            inputs = {"model": loaded, "statistics": statistics[name]}
            if info.needs_adapter:
                science, inputs = science | {"adapter": needed["adapter"]}, inputs | {"adapter": needs["adapter"]}
        recipe = {"kind": "region", **science, **cut}
        regions[name] = plan.add(Artifact("region", recipe, f"regions/{stem}", ".safetensors", inputs))
    plan.statistics[model, method], plan.regions[model, method] = statistics, regions
    if not info.keeps_statistics:
        plan.add_batches("identify", f"{model}.{method}", list(regions.values()))


def _add_shared_jobs(plan: Plan, model: str) -> None:
    """All methods that keep statistics share the jobs of a model, which load it once: one measures, one selects."""
    methods = [method for name, method in plan.regions if name == model and CATALOGUE[method].keeps_statistics]
    for step, made in (("measure", plan.statistics), ("select", plan.regions)):
        plan.add_batches(step, model, [artifact for method in methods for artifact in made[model, method].values()])


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
