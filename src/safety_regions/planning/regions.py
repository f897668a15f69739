"""From the samples of a model to the regions of a method, and to the statistics they follow from."""

from dataclasses import dataclass

from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.base import Section
from safety_regions.config.method_catalogue import CATALOGUE, MethodInfo
from safety_regions.config.variants import OWN, Variant, named
from safety_regions.planning.method_inputs import Needs, needs_of
from safety_regions.planning.plan import Plan
from safety_regions.planning.samples import Sampled


@dataclass(frozen=True)
class _Asked:
    """A method on a model: what it does with every sample."""

    method: str
    options: Section
    model: Artifact
    needs: Needs

    @property
    def info(self) -> MethodInfo:
        return CATALOGUE[self.method]

    @property
    def base(self) -> dict:
        """What every recipe says."""
        return {"method": self.method, "version": self.info.version, "model": self.model.digest}


def add_regions(plan: Plan, model: str, method: str, options: Section, samples: list[Sampled]) -> None:
    """A region of every sample, and the statistic it follows from where the method keeps one."""
    asked = _Asked(method, options, plan.models[model], needs_of(plan, model, method, options))
    statistics: dict[Variant, Artifact] = {}
    regions: dict[Variant, Artifact] = {}
    for sample in samples:
        stem, made_from = f"{model}/{method}/{named(sample.variant)}", _measured(asked, sample)
        if asked.info.keeps_statistics:
            kept = statistics[sample.variant] = _add_statistics(plan, stem, made_from)
            made_from = _selected(asked, kept)
        regions[sample.variant] = _add_region(plan, stem, made_from)
    key = model, method
    plan.statistics[key] = statistics
    plan.regions[key] = {name: region for (name, variant), region in regions.items() if variant == OWN}
    plan.replicates[key] = {of: region for of, region in regions.items() if of[1] != OWN}


def _measured(asked: _Asked, sample: Sampled) -> Needs:
    """What a statistic is made from: a sample, the options that decide it, and what else the method looks at."""
    needed, needs = asked.needs
    options = asked.options.model_dump(mode="json", exclude={*asked.info.selecting, *asked.info.naming})
    recipe = asked.base | {"options": options, "pairs": sample.pairs.digest, **needed}
    recipe |= {"part": sample.part} if sample.part else {}
    return recipe, {"model": asked.model, "pairs": sample.pairs, **needs}


def _selected(asked: _Asked, kept: Artifact) -> Needs:
    """What a region is made from where its statistic is kept: that, and the options that say how it follows."""
    options = asked.options.model_dump(mode="json", include={*asked.info.selecting})
    recipe, inputs = asked.base | {"statistics": kept.digest}, {"model": asked.model, "statistics": kept}
    recipe |= {"options": options} if options else {}
    if asked.info.needs_adapter:
        needed, needs = asked.needs
        recipe, inputs = recipe | {"adapter": needed["adapter"]}, inputs | {"adapter": needs["adapter"]}
    return recipe, inputs


def _add_statistics(plan: Plan, stem: str, made_from: Needs) -> Artifact:
    recipe, inputs = made_from
    recipe = {"kind": "statistics", **recipe}
    return plan.add(Artifact(recipe, stem, inputs))


def _add_region(plan: Plan, stem: str, made_from: Needs) -> Artifact:
    (recipe, inputs), thresholds = made_from, plan.run.thresholds
    cut = {"grid": thresholds.grid, "scope": thresholds.scope, "selection": VERSIONS["selection"]}
    return plan.add(Artifact({"kind": "region", **recipe, **cut}, stem, inputs))
