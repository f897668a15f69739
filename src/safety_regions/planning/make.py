"""From a configuration to its plan.

What runs start from is planned in `data` and `samples`, regions in `regions`, what is made of them in `results`. What a
run leaves to a default (`null`) is decided in these, so recipes hold what was decided and not that it was left open.
"""

from collections.abc import Mapping

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.model_method import ModelMethod
from safety_regions.config.registries import Registries
from safety_regions.config.run import RunConfig
from safety_regions.config.variants import Variant
from safety_regions.planning.batching import whole
from safety_regions.planning.data import add_model, add_prompts
from safety_regions.planning.plan import Plan
from safety_regions.planning.region_files import add_region_files
from safety_regions.planning.regions import add_regions
from safety_regions.planning.results import add_results
from safety_regions.planning.run_words import UNNAMED, RunWords
from safety_regions.planning.samples import add_samples, wanted


def make_plan(run: RunConfig, registries: Registries, named: RunWords = UNNAMED) -> Plan:
    """The plan of a validated configuration. Raises `UserError` for a local data file that is not there."""
    plan = Plan(run, registries, named)
    for name in (*run.datasets.safety, *run.datasets.utility):
        add_prompts(plan, name)
    for model in run.models:
        add_model(plan, model)
    for model in run.models:
        samples = add_samples(plan, model)
        for method, options in run.enabled_methods().items():
            add_regions(plan, model, method, options, wanted(plan, ModelMethod(model, method), samples))
        _add_shared_jobs(plan, model)
    if run.goal == "report":
        add_results(plan)
    else:
        add_region_files(plan)
    return plan


def _add_shared_jobs(plan: Plan, model: str) -> None:
    """The methods of a model share its jobs: one measures, set after set, so that methods share what is read; one
    selects.
    """
    keys = [key for key in plan.regions if key.model == model]
    regions = {
        key: {Variant(name): region for name, region in plan.regions[key].items()} | plan.replicates[key]
        for key in keys
    }
    kept = {key: regions[key] for key in keys if CATALOGUE[key.method].keeps_statistics}
    first: dict[str, Variant] = {}
    of_set: dict[Variant, dict[str, Artifact]] = {}
    for key in keys:
        measured: Mapping[Variant, Artifact] = plan.statistics[key] if key in kept else regions[key]
        for variant, made in measured.items():
            # Two variants may come to the same artifact, as one with the run's own template does.
            of_set.setdefault(first.setdefault(made.key, variant), {})[made.key] = made
    # Never a part of a set's, since its methods share a pass over it.
    for artifacts in whole(list(of_set.values()), plan.run.machine.datasets_per_job):
        plan.add_batches("measure", model, artifacts, len(artifacts))
    plan.add_batches("select", model, [region for of in kept.values() for region in of.values()])
