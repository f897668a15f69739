"""What a run makes whose goal is region files: those of every set, or the refined ones of the safety sets."""

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.model_method import ModelMethod
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes.data import OfSet
from safety_regions.planning.recipes.tables import RefinedRecipe


def add_region_files(plan: Plan) -> None:
    """Make them the targets."""
    if plan.run.goal == "regions":
        plan.targets.extend(region for of in plan.regions.values() for region in of.values())
        return
    for model in plan.run.models:
        refined = [made for of in plan.regions if of.model == model for made in _refined(plan, of)]
        plan.add_batches("refine", model, refined)
        plan.targets.extend(refined)


def _refined(plan: Plan, of: ModelMethod) -> list[Artifact[RefinedRecipe]]:
    """The region of each safety set without what those of the utility sets hold."""
    regions, sets = plan.regions[of], plan.run.datasets
    utility = [OfSet(name, regions[name].digest) for name in sets.utility]
    taken_out = {f"utility/{name}": regions[name] for name in sets.utility}
    return [
        plan.add(
            Artifact(
                RefinedRecipe(region=regions[name].digest, utility=utility, p=plan.run.thresholds.p),
                f"{of.model}/{of.method}/{name}",
                {"region": regions[name], **taken_out},
            )
        )
        for name in sets.safety
    ]
