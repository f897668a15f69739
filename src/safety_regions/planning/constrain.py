"""Fine-tunings under a constraint: one artifact for each model, condition, learning rate and seed.

A condition that freezes nothing is trained once for all methods. What is put back after such a training is an artifact
of each method: so one more method, or one more mask, makes nothing again that is there, and trains again itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.constrain import Constrain
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.model_method import ModelMethod, PartRole
from safety_regions.config.registries import responding
from safety_regions.config.variants import RESPONSES
from safety_regions.planning.batching import whole
from safety_regions.planning.data import judge_of, other_prompts
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes.constrain import ALL_BUT, NOTHING, REWOUND, ConstrainRecipe, Mask
from safety_regions.planning.recipes.data import OfSet, PromptsRecipe
from safety_regions.planning.recipes.regions import RegionRecipe

Prompts = dict[str, dict[str, Artifact[PromptsRecipe]]]
"""By what is done with them, then by set."""
OPTIONS = {
    "tuning",
    "rank",
    "alpha",
    "steps",
    "losses",
    "every",
    "precision",
    "batch_size",
    "weight_decay",
    "max_new_tokens",
}
"""Those that a training itself goes by."""
OF_LORA, OF_LOSSES = {"rank", "alpha"}, {"every"}
"""Those that say nothing without an adapter, and without checkpoints by loss."""


@dataclass(frozen=True)
class _Condition:
    """What is done to a model, whatever the learning rate and the seed."""

    name: str
    of: ModelMethod | None = None
    """Whose regions it looks at."""
    said: dict[str, Any] = field(default_factory=dict)
    """Fields of the recipe."""
    regions: dict[str, Artifact] = field(default_factory=dict)
    """By role."""


def add_constrained(plan: Plan, model: str) -> dict[PartRole, Artifact]:
    """The fine-tunings of a model, done by jobs of their own. Empty where the run asks for none."""
    config = plan.run.constrain
    if config is None or model not in (config.models or [model]):
        return {}
    prompts = _prompts(plan, config)
    conditions: list[dict[PartRole, Artifact]] = []
    for condition in _conditions(plan, config, model):
        method = condition.of.method if condition.of else ""
        made = {
            PartRole("constrain", model, method, f"{condition.name}-{rate:g}-{seed}"): _fine_tuned(
                plan, config, model, condition, (rate, seed), prompts
            )
            for rate, seed in product(config.learning_rates, range(config.seeds))
        }
        conditions.append(made)
    # Never a part of a condition's, so that one more is one more job.
    groups = [{str(role): artifact for role, artifact in made.items()} for made in conditions]
    for job in whole(groups, plan.run.machine.trainings_per_job):
        plan.add_batches("constrain", model, job, len(job))
    return {role: artifact for made in conditions for role, artifact in made.items()}


def _conditions(plan: Plan, config: Constrain, model: str) -> Iterator[_Condition]:
    methods = _methods(plan, config, model)
    # First what shares one training, so that it is in one job.
    yield _Condition(NOTHING)
    for of in methods:
        if rewound := _masks(plan, of, config.stages, config.rewound):
            said, regions = _regions(plan, of, config, rewound)
            yield _Condition(REWOUND, of, said | {"rewound": [mask.name for mask in rewound]}, regions)
    for of in methods:
        for frozen in _masks(plan, of, config.stages, config.frozen):
            for mask in _at_fractions(plan, of, config, frozen):
                yield _Condition(mask.name, of, *_regions(plan, of, config, [mask]))


def _methods(plan: Plan, config: Constrain, model: str) -> list[ModelMethod]:
    """Those whose regions are weights of the model itself."""
    able = [of for of in plan.regions if of.model == model and CATALOGUE[of.method].granularity != "adapter"]
    return able[:1] if config.methods is None else [of for of in able if of.method in config.methods]


def _masks(plan: Plan, of: ModelMethod, stages: list[Any], whats: list[Any]) -> list[Mask]:
    """A method of whole layers has no controls but random ones; and there is a region of harmless prompts with the same
    refusals where the run identifies one.
    """
    granularity = CATALOGUE[of.method].granularity
    lacking = {"magnitude", "utility", "harmless"} if granularity == "layer" else set()
    if not _harmless(plan, of):
        lacking = lacking | {"harmless"}
    return [Mask(what, stage) for stage, what in product(stages, whats) if what not in lacking]


def _at_fractions(plan: Plan, of: ModelMethod, config: Constrain, mask: Mask) -> list[Mask]:
    """A mask of all but a region at each fraction that is asked for; a range of layers has one size."""
    q, named = plan.run.thresholds.q, config.only_at
    if mask.what not in ALL_BUT or named is None or CATALOGUE[of.method].shape == "range":
        return [mask]
    return [mask._replace(at=None if fraction == q else fraction) for fraction in named]


def _harmless(plan: Plan, of: ModelMethod) -> dict[str, Artifact[RegionRecipe]]:
    """Regions of harmless prompts with fixed refusals, by set and response."""
    controls, utility = plan.run.controls, plan.run.datasets.utility
    if controls is None:
        return {}
    name = controls.harmless or utility[0]
    found = plan.replicates[of].items()
    return {v.name: region for v, region in found if v.which == RESPONSES and v.set == name}


def _regions(
    plan: Plan, of: ModelMethod, config: Constrain, masks: list[Mask]
) -> tuple[dict[str, Any], dict[str, Artifact]]:
    """What a recipe says of the regions that these masks follow from, and the regions by role."""
    regions, datasets, thresholds = plan.regions[of], plan.run.datasets, plan.run.thresholds
    safety, utility = config.sets or datasets.safety, datasets.utility
    looks_at = any(mask.what == "harmless" for mask in masks)
    harmless = _harmless(plan, of) if looks_at else {}
    said: dict[str, Any] = {
        "method": of.method,
        "safety": [OfSet(name, regions[name].digest) for name in safety],
        "utility": [OfSet(name, regions[name].digest) for name in utility],
        "harmless": [OfSet(name, region.digest) for name, region in harmless.items()] or None,
        "q": next((mask.at for mask in masks if mask.at is not None), thresholds.q),
        "p": thresholds.p,
        "agree": config.agree,
    }
    inputs: dict[str, Artifact] = {f"region/{name}": regions[name] for name in [*safety, *utility]}
    return said, inputs | {f"harmless/{name}": region for name, region in harmless.items()}


def _prompts(plan: Plan, config: Constrain) -> Prompts:
    run = plan.run
    first = run.datasets.offset + run.datasets.n_samples if config.offset is None else config.offset
    held_out, behind = first + config.n_samples, first + config.n_samples + config.n_held_out
    benign, seed = config.benign or responding(run, plan.registries.datasets), run.datasets.seed
    trained: Prompts = {
        "benign": {name: other_prompts(plan, name, config.n_samples, first, seed) for name in benign},
        "held_out": {name: other_prompts(plan, name, config.n_held_out, held_out, seed) for name in benign},
    }
    # A model is asked nothing that its region was identified from, and nothing that it was trained on.
    sets, harmful = config.sets or run.datasets.safety, config.harmful or run.datasets.safety
    asked = {
        role: {
            name: other_prompts(
                plan, name, config.n_prompts, behind if name in benign else first, seed, apart_from=[name, *sets]
            )
            for name in names
        }
        for role, names in (("harmful", harmful), ("over_refusal", config.over_refusal or run.datasets.utility))
    }
    return trained | asked


def _fine_tuned(
    plan: Plan, config: Constrain, model: str, condition: _Condition, training: tuple[float, int], prompts: Prompts
) -> Artifact[ConstrainRecipe]:
    """`training`: learning rate and seed."""
    idle = (OF_LORA if config.tuning == "full" else set()) | (set() if config.losses else OF_LOSSES)
    # The usual one is not said.
    idle |= {"precision"} if config.precision == "float32" else set()
    asked: dict[str, Any] = {role: [OfSet(name, a.digest) for name, a in of.items()] for role, of in prompts.items()}
    judge = judge_of(plan)
    recipe = ConstrainRecipe(
        model=plan.models[model].digest,
        condition=condition.name,
        learning_rate=training[0],
        seed=training[1],
        options=config.model_dump(mode="json", include=OPTIONS - idle),
        **asked,
        **condition.said,
        judge=judge.digest if judge else None,
    )
    inputs: dict[str, Artifact] = {"model": plan.models[model], **condition.regions}
    inputs |= {"judge": judge} if judge else {}
    inputs |= {f"{role}/{name}": a for role, of in prompts.items() for name, a in of.items()}
    stem = ".".join(filter(None, [model, recipe.method, condition.name]))
    return plan.add(Artifact(recipe, stem, inputs))
