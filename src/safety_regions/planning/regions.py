"""From the samples of a model to the regions of a method, and to the statistics they follow from."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.base import Section
from safety_regions.config.method_catalogue import CATALOGUE, MethodInfo
from safety_regions.config.model_method import ModelMethod
from safety_regions.config.variants import Variant
from safety_regions.planning.method_inputs import Needs, needs_of, sets_compared_with
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes.models import ModelRecipe
from safety_regions.planning.recipes.regions import RegionRecipe, StatisticsRecipe
from safety_regions.planning.samples import Sampled


@dataclass(frozen=True)
class _Asked:
    """A method on a model: what it does with every sample."""

    method: str
    options: Section
    model: Artifact[ModelRecipe]
    needs: Needs
    compared_with: dict[str, str]
    """By role, the set that gives the prompts which every set is compared with."""
    end_of_turn: bool
    """Whether the token that ends a response counts as one of its tokens."""

    @property
    def info(self) -> MethodInfo:
        return CATALOGUE[self.method]

    @property
    def base(self) -> dict[str, Any]:
        """What every recipe says."""
        return {"method": self.method, "version": self.info.version, "model": self.model.digest}

    def role_of(self, name: str) -> str | None:
        """The role in which a set's other prompts are what every set is compared with."""
        compared = [of.role for of in self.info.prompts if of.compared]
        return next((role for role in compared if self.compared_with[role] == name), None)

    @cached_property
    def measuring(self) -> dict[str, Any]:
        """The options that decide a statistic."""
        return self.options.model_dump(mode="json", exclude={*self.info.selecting, *self.info.naming})

    @cached_property
    def selecting(self) -> dict[str, Any]:
        """The options that say how a region follows from a kept statistic."""
        return self.options.model_dump(mode="json", include={*self.info.selecting})


def add_regions(plan: Plan, model: str, method: str, options: Section, samples: list[Sampled]) -> None:
    """A region of every sample, and the statistic it follows from where the method keeps one."""
    needs, compared_with = needs_of(plan, model, method, options), sets_compared_with(plan, method, options)
    asked = _Asked(method, options, plan.models[model], needs, compared_with, plan.run.responses.end_of_turn)
    statistics: dict[Variant, Artifact[StatisticsRecipe]] = {}
    regions: dict[Variant, Artifact[RegionRecipe]] = {}
    for sample in samples:
        stem, made_from = f"{model}/{method}/{sample.variant.name}", _measured(asked, sample)
        if asked.info.keeps_statistics:
            kept = statistics[sample.variant] = _add_statistics(plan, stem, made_from)
            made_from = _selected(asked, kept)
        regions[sample.variant] = _add_region(plan, stem, made_from)
    key = ModelMethod(model, method)
    plan.statistics[key] = statistics
    plan.regions[key] = {variant.set: region for variant, region in regions.items() if variant.is_own}
    plan.replicates[key] = {variant: region for variant, region in regions.items() if not variant.is_own}


def _measured(asked: _Asked, sample: Sampled) -> Needs:
    """What a statistic is made from: a sample, the options that decide it, and what else the method looks at."""
    needed, needs = asked.needs
    recipe = asked.base | {"options": asked.measuring, "pairs": sample.pairs.digest, "part": sample.part} | needed
    recipe["plays"] = asked.role_of(sample.variant.set)
    if asked.info.reads_responses and not asked.end_of_turn:
        recipe["end_of_turn"] = False
    return recipe, {"model": asked.model, "pairs": sample.pairs, **needs}


def _selected(asked: _Asked, kept: Artifact[StatisticsRecipe]) -> Needs:
    """What a region is made from where its statistic is kept: that, and the options that say how it follows."""
    recipe = asked.base | {"statistics": kept.digest, "options": asked.selecting or None}
    inputs: dict[str, Artifact] = {"model": asked.model, "statistics": kept}
    if asked.info.needs_adapter:
        needed, needs = asked.needs
        recipe, inputs = recipe | {"adapter": needed["adapter"]}, inputs | {"adapter": needs["adapter"]}
    return recipe, inputs


def _add_statistics(plan: Plan, stem: str, made_from: Needs) -> Artifact[StatisticsRecipe]:
    recipe, inputs = made_from
    return plan.add(Artifact(StatisticsRecipe(**recipe), stem, inputs))


def _add_region(plan: Plan, stem: str, made_from: Needs) -> Artifact[RegionRecipe]:
    (recipe, inputs), thresholds = made_from, plan.run.thresholds
    region = RegionRecipe(**recipe, grid=thresholds.grid, scope=thresholds.scope)
    return plan.add(Artifact(region, stem, inputs))
