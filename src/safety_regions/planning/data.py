"""The part of a plan that regions are made from: datasets, prompts, models."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.architectures import refuse_unclaimed, refuse_unknown
from safety_regions.config.datasets import SyntheticDataset
from safety_regions.config.models import AlignedModel, ClassifierModel, LocalModel
from safety_regions.data import synthetic
from safety_regions.errors import UserError
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes.data import DatasetRecipe, PromptsRecipe, dataset_recipe, prompts_recipe
from safety_regions.planning.recipes.models import ModelRecipe, model_recipe


def add_dataset(plan: Plan, name: str) -> Artifact[DatasetRecipe]:
    """All rows of a dataset."""
    if name not in plan.datasets:
        recipe = dataset_recipe(name, plan.registries.datasets[name])
        plan.datasets[name] = plan.add(Artifact(recipe, name))
    return plan.datasets[name]


def add_prompts(plan: Plan, name: str) -> None:
    """The prompts of a set that regions are identified from."""
    plan.prompts[name] = drawn_prompts(plan, name, plan.run.datasets.seed)


def drawn_prompts(plan: Plan, name: str, seed: int) -> Artifact[PromptsRecipe]:
    """Prompts of one of the run's sets, drawn as the run says but with a seed of its own."""
    if (name, seed) not in plan.draws:
        plan.draws[name, seed] = _drawn(plan, name, seed)
    return plan.draws[name, seed]


def _drawn(plan: Plan, name: str, seed: int) -> Artifact[PromptsRecipe]:
    config = plan.run.datasets
    _refuse_too_few(plan, name, config.n_samples, config.offset, "set datasets.n_samples or datasets.offset lower")
    rows = add_dataset(plan, name)
    listed = [*config.safety, *config.utility]
    before = listed[: listed.index(name)] if config.deduplicate == "across" else []
    earlier = {f"earlier{i}": add_dataset(plan, other) for i, other in enumerate(before)}
    recipe = prompts_recipe(
        name,
        rows.digest,
        n_samples=config.n_samples,
        seed=seed,
        offset=config.offset,
        deduplicate=config.deduplicate,
        near_duplicate=config.near_duplicate,
        earlier=[a.digest for a in earlier.values()],
    )
    return plan.add(Artifact(recipe, name, {"rows": rows, **earlier}))


def other_prompts(
    plan: Plan, name: str, n: int, offset: int, seed: int, apart_from: Iterable[str] = ()
) -> Artifact[PromptsRecipe]:
    """Prompts of a set beside those identified on: all repeats kept, but for prompts of the sets that they are to be
    apart from. Of these, sets that the run does not identify on have none.
    """
    _refuse_too_few(
        plan, name, n, offset, "identify on fewer (datasets.n_samples), or name larger sets where others are asked for"
    )
    rows = add_dataset(plan, name)
    sets = [of for of in dict.fromkeys(apart_from) if of in plan.prompts]
    apart = {f"apart{i}": plan.prompts[of] for i, of in enumerate(sets)}
    recipe = prompts_recipe(
        name,
        rows.digest,
        n_samples=n,
        seed=seed,
        offset=offset,
        near_duplicate=plan.run.datasets.near_duplicate,
        apart_from=[a.digest for a in apart.values()],
    )
    return plan.add(Artifact(recipe, name, {"rows": rows, **apart}))


def add_model(plan: Plan, name: str) -> Artifact[ModelRecipe]:
    """A prepared model, and what it rests on."""
    if name not in plan.models:
        spec = plan.registries.models[name]
        if isinstance(spec.source, LocalModel):
            _refuse_unknown_folder(name, Path(spec.source.path).expanduser())
        inputs: dict[str, Artifact] = {}
        if isinstance(spec.source, AlignedModel):
            inputs["base"] = add_model(plan, spec.source.base)
            for dataset in [*spec.source.harmful, *spec.source.harmless]:
                inputs[f"data/{dataset}"] = add_dataset(plan, dataset)
        data = {role.removeprefix("data/"): a.digest for role, a in inputs.items() if role != "base"}
        base = inputs["base"].digest if "base" in inputs else None
        recipe = model_recipe(name, spec, base_digest=base, data_digests=data)
        plan.models[name] = plan.add(Artifact(recipe, name, inputs))
        if not isinstance(spec.source, ClassifierModel):
            _refuse_unclaimed(plan, name)
    return plan.models[name]


def judge_of(plan: Plan) -> Artifact[ModelRecipe] | None:
    """The classifier that tells outcomes; None where patterns do."""
    return add_model(plan, plan.run.judge.model) if plan.run.judge else None


def _refuse_too_few(plan: Plan, name: str, n: int, offset: int, hint: str) -> None:
    """What only the sampling would find, where the number of rows is known: of embedded sets, and of those whose entry
    says it. Repeats that are dropped may still leave too few.
    """
    spec = plan.registries.datasets[name]
    there = spec.rows
    if isinstance(spec.source, SyntheticDataset) and spec.source.name in synthetic.DATASETS:
        there = _n_embedded(spec.source.name)
    if there is not None and offset + n > there:
        raise UserError(
            f"{n} prompts behind the first {offset}",
            where=f"dataset {name}",
            expected=f"no more than its {there} rows",
            hint=hint,
        )


@cache
def _n_embedded(name: str) -> int:
    # Every job at a cluster plans again, and each set is drawn from several times.
    return len(synthetic.rows(name))


def _refuse_unknown_folder(name: str, folder: Path) -> None:
    """What only the fetching would find, and after other sets and models were fetched. Whatever else is wrong with the
    folder is told there.
    """
    config = _config_of(folder)
    if config is not None:
        refuse_unknown(config, f"model {name}, {folder}/config.json")


def _refuse_unclaimed(plan: Plan, name: str) -> None:
    """Methods that are not right for a model whose type is known: by its folder, or by its entry in the registry. Of
    any other the fetching tells.
    """
    spec = plan.registries.models[name]
    if isinstance(spec.source, LocalModel):
        config = _config_of(Path(spec.source.path).expanduser())
    else:
        config = _config_of(Path(plan.models[name].path))
    if config is None and spec.shape is not None:
        config = {"model_type": spec.shape.model_type}
    if config is not None:
        refuse_unclaimed(config, plan.run.enabled_methods(), f"model {name}")


def _config_of(folder: Path) -> dict | None:
    """The content of a folder's config.json; None where none can be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None
