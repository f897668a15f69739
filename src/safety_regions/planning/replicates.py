"""The comparison of a model's replicate regions: which regions are compared with which."""

from itertools import groupby

from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.variants import OWN, Variant, role
from safety_regions.planning.data import drawn_prompts
from safety_regions.planning.plan import Plan


def add_comparison(plan: Plan, model: str, method: str) -> Artifact | None:
    """The table of regions of halves, of other seeds and with other responses; None if there are none."""
    found = plan.replicates[model, method]
    if not found:
        return None
    own = {(name, OWN): region for name, region in plan.regions[model, method].items()}
    regions = own | found
    groups = _groups(list(found))
    prompts = _prompts(plan, [of for _, members in groups for of in members])
    recipe = {
        "kind": "replicates",
        "version": VERSIONS["replicates"],
        "groups": [[kind, [[*of, regions[of].digest] for of in members]] for kind, members in groups],
        "utility": [[name, own[name, OWN].digest] for name in plan.run.datasets.utility],
        "prompts": [[*of, artifact.digest] for of, artifact in prompts.items()],
        "p": plan.run.thresholds.p,
    }
    compared = [of for _, members in groups for of in members]
    inputs = {role("region", of): regions[of] for of in compared}
    inputs |= {role("region", (name, OWN)): own[name, OWN] for name in plan.run.datasets.utility}
    inputs |= {role("prompts", of): artifact for of, artifact in prompts.items()}
    return plan.add(Artifact(recipe, f"{model}.{method}", inputs))


def _groups(found: list[Variant]) -> list[tuple[str, list[Variant]]]:
    """Regions that are compared with each other: the halves of each split; the draws of each set; own and other
    responses.
    """
    splits = [of for of in found if of[1].startswith("split")]
    groups = [("halves", list(of)) for _, of in groupby(splits, lambda of: of[1].partition(".")[0])]
    seeds = [of for of in found if of[1].startswith("seed")]
    for name in dict.fromkeys(name for name, _ in seeds):
        groups.append(("seeds", [(name, OWN), *(of for of in seeds if of[0] == name)]))
    templates = [of for of in found if of[1].startswith("template")]
    sets = dict.fromkeys(name for name, _ in templates)
    return groups + ([("responses", [*((name, OWN) for name in sets), *templates])] if templates else [])


def _prompts(plan: Plan, compared: list[Variant]) -> dict[Variant, Artifact]:
    """The prompts behind the compared regions: each set's own, and those of its other draws."""
    of_seed = {
        (name, of): drawn_prompts(plan, name, plan.run.datasets.seed + int(of.removeprefix("seed")))
        for name, of in compared
        if of.startswith("seed")
    }
    return {(name, OWN): plan.prompts[name] for name, _ in compared} | of_seed
