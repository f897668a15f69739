"""The comparison of a model's replicate regions: which regions are compared with which."""

from itertools import groupby

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.model_method import ModelMethod
from safety_regions.config.variants import BORROWED, DRAW, FIRST, HALF, RESPONSES, Variant
from safety_regions.planning.data import drawn_prompts
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes.data import OfSet, PromptsRecipe
from safety_regions.planning.recipes.tables import Group, OfVariant, ReplicatesRecipe


def add_comparison(plan: Plan, of: ModelMethod) -> Artifact[ReplicatesRecipe] | None:
    """The table of regions of halves, of fewer prompts, of other seeds and with other responses; None if there are
    none.
    """
    replicates = {variant: region for variant, region in plan.replicates[of].items() if variant.which != BORROWED}
    if not replicates:
        return None
    regions = {Variant(name): region for name, region in plan.regions[of].items()} | replicates
    groups = _groups(list(replicates))
    compared = [variant for _, members in groups for variant in members]
    utility = [Variant(name) for name in plan.run.datasets.utility]
    prompts = _prompts(plan, compared)
    recipe = ReplicatesRecipe(
        groups=[
            Group(kind, [OfVariant.of(variant, regions[variant].digest) for variant in members])
            for kind, members in groups
        ],
        utility=[OfSet(variant.set, regions[variant].digest) for variant in utility],
        prompts=[OfVariant.of(variant, artifact.digest) for variant, artifact in prompts.items()],
        p=plan.run.thresholds.p,
    )
    inputs: dict[str, Artifact] = {variant.role("region"): regions[variant] for variant in [*compared, *utility]}
    inputs |= {variant.role("prompts"): artifact for variant, artifact in prompts.items()}
    return plan.add(Artifact(recipe, of.name, inputs))


def _groups(replicates: list[Variant]) -> list[tuple[str, list[Variant]]]:
    """Regions that are compared with each other: the halves of each split; those from as many first prompts; the draws
    of each set; own and other responses.
    """
    halves = [variant for variant in replicates if variant.which == HALF]
    groups = [("halves", list(of_split)) for _, of_split in groupby(halves, lambda half: half.number)]
    first = [variant for variant in replicates if variant.which == FIRST]
    groups += [("sizes", list(of_size)) for _, of_size in groupby(first, lambda of: of.number)]
    draws = [variant for variant in replicates if variant.which == DRAW]
    for name in dict.fromkeys(draw.set for draw in draws):
        groups.append(("seeds", [Variant(name), *(draw for draw in draws if draw.set == name)]))
    responses = [variant for variant in replicates if variant.which == RESPONSES]
    own_responses = dict.fromkeys(variant.own for variant in responses)
    return groups + ([("responses", [*own_responses, *responses])] if responses else [])


def _prompts(plan: Plan, compared: list[Variant]) -> dict[Variant, Artifact[PromptsRecipe]]:
    """The prompts behind the compared regions: each set's own, and those of its other draws."""
    own = {variant.own: plan.prompts[variant.set] for variant in compared}
    seed = plan.run.datasets.seed
    return own | {draw: drawn_prompts(plan, draw.set, seed + draw.number) for draw in compared if draw.which == DRAW}
