"""From the options of a method to what it looks at beside a model and samples: other prompts, an adapter."""

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.base import Section
from safety_regions.config.method_catalogue import CATALOGUE, OtherPrompts
from safety_regions.config.methods import Adapter, adapter_options
from safety_regions.config.model_method import ModelMethod
from safety_regions.config.models import AlignedModel
from safety_regions.config.registries import responding
from safety_regions.errors import UserError
from safety_regions.planning.data import add_dataset, other_prompts
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes.models import AdapterRecipe, ModelRecipe

Needs = tuple[dict, dict[str, Artifact]]
"""Fields of a recipe (`planning.recipes.regions.MethodRecipe`), and the artifacts that they name, by role."""


def needs_of(plan: Plan, model: str, method: str, options: Section) -> Needs:
    """The other prompts and the adapter that the catalogue says the method looks at, as its options name them."""
    info = CATALOGUE[method]
    digests: dict[str, str | dict[str, str]] = {}
    inputs: dict[str, Artifact] = {}
    for of in info.prompts:
        made = _prompts(plan, method, of, options)
        if of.several:
            digests[of.role] = {name: a.digest for name, a in made.items()}
            inputs |= {f"{of.role}/{name}": a for name, a in made.items()}
        else:
            [inputs[of.role]] = made.values()
            digests[of.role] = inputs[of.role].digest
    if not info.needs_adapter:
        return {"other_prompts": digests}, inputs
    adapter = plan.adapters[ModelMethod(model, method)] = _adapter(plan, model, adapter_options(options))
    return {"other_prompts": digests, "adapter": adapter.digest}, inputs | {"adapter": adapter}


def sets_compared_with(plan: Plan, method: str, options: Section) -> dict[str, str]:
    """By role, the set that gives the prompts which the method compares every set with."""
    compared = [of for of in CATALOGUE[method].prompts if of.compared]
    return {of.role: name for of in compared for name in _names(plan, method, of, options)}


def _names(plan: Plan, method: str, of: OtherPrompts, options: Section) -> list[str]:
    """The sets that an option names, or those that stand in for it. Raises `UserError` where there are none."""
    named, utility = getattr(options, of.role), plan.run.datasets.utility
    if not named and not utility:
        raise UserError(
            f"{of.role} names no set, and there is no utility set to stand in for it",
            where=f"methods, in the options of {method}",
            hint=f"name harmless prompts: a set in {of.role}, or one in datasets.utility",
        )
    return (named or utility) if of.several else [named or utility[0]]


def _prompts(plan: Plan, method: str, of: OtherPrompts, options: Section) -> dict[str, Artifact]:
    """By set."""
    config, names = plan.run.datasets, _names(plan, method, of, options)
    number = getattr(options, of.number) if of.number else config.n_samples
    offset = config.offset + config.n_samples if of.behind else 0
    return {name: other_prompts(plan, name, number, offset, config.seed) for name in names}


def _adapter(plan: Plan, model: str, options: Adapter) -> Artifact[AdapterRecipe] | Artifact[ModelRecipe]:
    """The model itself where it was aligned with an adapter, else one trained for it, once."""
    if isinstance(plan.registries.models[model].source, AlignedModel):
        return plan.models[model]
    config = plan.run.datasets
    harmful = options.harmful or config.safety[:2]
    harmless = options.harmless or responding(plan.run, plan.registries.datasets)
    if not harmless:
        raise UserError(
            "an adapter is trained on harmless prompts with their responses, and no set of them is named",
            where="methods.nlsr.adapter.harmless",
            hint="name one there, or in datasets.utility",
        )
    offset = config.offset + config.n_samples if options.offset is None else options.offset
    decided = options.model_dump(mode="json") | {"harmful": harmful, "harmless": harmless, "offset": offset}
    data = {name: add_dataset(plan, name) for name in [*harmful, *harmless]}
    recipe = AdapterRecipe(
        model=plan.models[model].digest,
        data={name: rows.digest for name, rows in data.items()},
        options=decided,
    )
    inputs = {"model": plan.models[model], **{f"data/{name}": rows for name, rows in data.items()}}
    return plan.add(Artifact(recipe, model, inputs))
