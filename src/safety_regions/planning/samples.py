"""What a model's regions are identified from: (prompt, response) pairs of every set, and replicates of them."""

from dataclasses import dataclass
from itertools import product

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.model_method import ModelMethod
from safety_regions.config.variants import BORROWED, DRAW, FIRST, HALF, RESPONSES, Variant
from safety_regions.planning.data import drawn_prompts, other_prompts
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes.data import PromptsRecipe
from safety_regions.planning.recipes.regions import PairsRecipe, Part


@dataclass(frozen=True)
class Sampled:
    """What one region is identified from: all pairs of a set, or a part of them."""

    variant: Variant
    pairs: Artifact[PairsRecipe]

    @property
    def part(self) -> Part | None:
        """The half of the pairs, or the first of them; None: all of them."""
        variant = self.variant
        if variant.which == FIRST:
            return Part(first=variant.number)
        return Part(split=variant.number, half=variant.half) if variant.which == HALF else None


def add_samples(plan: Plan, model: str) -> list[Sampled]:
    """The samples of every set, its own ones first, then what `replicates`, `controls` and `evaluate` ask for."""
    sets = [*plan.run.datasets.safety, *plan.run.datasets.utility]
    own = [Sampled(Variant(name), _pairs(plan, model, name, plan.prompts[name])) for name in sets]
    samples = [
        *own,
        *_halves(plan, own),
        *_first(plan, own),
        *_seeds(plan, model),
        *_templates(plan),
        *_borrowed(plan, model, own),
    ]
    for job in dict.fromkeys(_job(s.pairs) for s in samples):
        pairs = {s.pairs.key: s.pairs for s in samples if _job(s.pairs) == job}
        plan.add_batches(*job, list(pairs.values()))
    return samples


def wanted(plan: Plan, of: ModelMethod, samples: list[Sampled]) -> list[Sampled]:
    """The samples that a method identifies regions from on a model: all own ones, and the replicates that the run wants
    of these.
    """
    run = plan.run
    sections = {RESPONSES: run.controls, **dict.fromkeys((HALF, FIRST, DRAW), run.replicates)}
    methods = {which: section.methods for which, section in sections.items() if section and section.methods is not None}
    left_out = {which for which, named in methods.items() if of.method not in named}
    if not evaluated(plan, of):
        left_out.add(BORROWED)
    return [sample for sample in samples if sample.variant.which not in left_out]


def _halves(plan: Plan, own: list[Sampled]) -> list[Sampled]:
    config = plan.run.replicates
    splits = range(config.splits if config else 0)
    safety = own[: len(plan.run.datasets.safety)]
    return [
        Sampled(Variant(of.variant.set, HALF, split, half), of.pairs)
        for split, of, half in product(splits, safety, (0, 1))
    ]


def _first(plan: Plan, own: list[Sampled]) -> list[Sampled]:
    config = plan.run.replicates
    sizes = (config.sizes if config else None) or []
    safety = own[: len(plan.run.datasets.safety)]
    return [Sampled(Variant(of.variant.set, FIRST, n), of.pairs) for n, of in product(sizes, safety)]


def _seeds(plan: Plan, model: str) -> list[Sampled]:
    config, datasets = plan.run.replicates, plan.run.datasets
    seeds = range(1, (config.seeds if config else 0) + 1)
    return [
        Sampled(Variant(name, DRAW, n), _pairs(plan, model, name, drawn_prompts(plan, name, datasets.seed + n)))
        for n, name in product(seeds, datasets.safety)
    ]


def _templates(plan: Plan) -> list[Sampled]:
    config, datasets = plan.run.controls, plan.run.datasets
    if config is None:
        return []
    sets = [*(config.safety or datasets.safety[:2]), config.harmless or datasets.utility[0]]
    return [
        Sampled(Variant(name, RESPONSES, n), _answered(plan, name, plan.prompts[name], "template", template))
        for (n, template), name in product(enumerate(config.templates), sets)
    ]


def lending_sets(plan: Plan) -> dict[str, Variant]:
    """By evaluated safety set, the region of harmless prompts with its responses; none without that control."""
    config, datasets = plan.run.evaluate, plan.run.datasets
    if config is None or "harmless" not in config.controls:
        return {}
    harmless, sets = config.harmless or datasets.utility[-1], evaluated_sets(plan)
    return {name: Variant(harmless, BORROWED, datasets.safety.index(name)) for name in sets}


def evaluated(plan: Plan, of: ModelMethod) -> bool:
    """Whether regions of a method are taken out of a model."""
    config = plan.run.evaluate
    return config is not None and _asked(plan, of.model) and of.method in (config.methods or [of.method])


def _asked(plan: Plan, model: str) -> bool:
    """Whether regions are taken out of a model."""
    config = plan.run.evaluate
    return config is not None and model in (config.models or [model])


def evaluated_sets(plan: Plan) -> list[str]:
    """The safety sets whose regions are taken out."""
    assert plan.run.evaluate is not None
    return plan.run.evaluate.sets or plan.run.datasets.safety[:1]


def _borrowed(plan: Plan, model: str, own: list[Sampled]) -> list[Sampled]:
    """Harmless prompts with the responses of safety sets, which are the model's only where the policy is `model`."""
    pairs, of_model = {sample.variant.set: sample.pairs for sample in own}, plan.run.responses.policy == "model"
    samples: list[Sampled] = []
    if not _asked(plan, model):
        return samples
    for name, variant in lending_sets(plan).items():
        stem = "-".join([variant.set, name, *([model] if of_model else [])])
        samples.append(Sampled(variant, _lent(plan, stem, _harmless_prompts(plan, variant.set), pairs[name])))
    return samples


def _harmless_prompts(plan: Plan, name: str) -> Artifact[PromptsRecipe]:
    """Those that the set's own region is identified from, if it has one."""
    datasets = plan.run.datasets
    if name in plan.prompts:
        return plan.prompts[name]
    return other_prompts(plan, name, datasets.n_samples, datasets.offset, datasets.seed)


def _lent(
    plan: Plan, name: str, prompts: Artifact[PromptsRecipe], lent: Artifact[PairsRecipe]
) -> Artifact[PairsRecipe]:
    """Prompts with the responses of other pairs."""
    recipe = PairsRecipe(prompts=prompts.digest, policy="borrowed", lent=lent.digest)
    return plan.add(Artifact(recipe, f"borrowed/{name}", {"prompts": prompts, "lent": lent}))


def _pairs(plan: Plan, model: str, name: str, prompts: Artifact[PromptsRecipe]) -> Artifact[PairsRecipe]:
    """Prompts with responses by the run's policy; only `model` makes them depend on the model."""
    config = plan.run.responses
    if config.policy != "model":
        return _answered(plan, name, prompts, config.policy, config.template)
    recipe = PairsRecipe(
        prompts=prompts.digest,
        policy="model",
        model=plan.models[model].digest,
        max_new_tokens=config.max_new_tokens,
    )
    inputs = {"prompts": prompts, "model": plan.models[model]}
    return plan.add(Artifact(recipe, f"{model}/{name}", inputs))


def _answered(
    plan: Plan, name: str, prompts: Artifact[PromptsRecipe], policy: str, template: str
) -> Artifact[PairsRecipe]:
    """Prompts with responses that no model has to give."""
    recipe = PairsRecipe(prompts=prompts.digest, policy=policy, template=template if policy == "template" else None)
    return plan.add(Artifact(recipe, f"{policy}/{name}", {"prompts": prompts}))


def _job(pairs: Artifact[PairsRecipe]) -> tuple[str, str]:
    """The step that makes them, and the model or policy that they are of."""
    return "respond" if pairs.recipe.policy == "model" else "give", pairs.stem.split("/")[1]
