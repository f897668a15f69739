"""From the options of a method to what it looks at beside a model and samples: other prompts, an adapter."""

from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.base import Section
from safety_regions.config.methods import Adapter, Nlsr, SafeLayer
from safety_regions.config.models import AlignedModel
from safety_regions.config.registries import responding
from safety_regions.planning.data import add_dataset, other_prompts
from safety_regions.planning.plan import Plan

Needs = tuple[dict, dict[str, Artifact]]
"""A part of a recipe, and the artifacts that it names, by role."""


def needs_of(plan: Plan, model: str, options: Section) -> Needs:
    """By the options of the method: SafeLayer's other prompts, NLSR's adapter."""
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
        plan.adapters[model] = plan.add(Artifact(recipe, model, inputs))
    return plan.adapters[model]
