"""One model and method in, one table out: what the model does without the regions, and without random ones."""

from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import numpy as np

from safety_regions.config.evaluate import Evaluate
from safety_regions.errors import UserError
from safety_regions.evaluation.ablate import ablated, without_entries
from safety_regions.evaluation.evaluate import Questions
from safety_regions.evaluation.table import Remove, Subject, evaluation_table
from safety_regions.files import canonical_json
from safety_regions.models.adapter import adapted, factor_shapes, load_adapter
from safety_regions.models.architecture import layout_of, projections
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, encode_pair
from safety_regions.planning.recipes.tables import EvaluateRecipe
from safety_regions.regions.format import Region, open_region
from safety_regions.regions.masks import Masks, masks_at, union
from safety_regions.regions.owned_weights import check_fit, expand, of_kinds
from safety_regions.steps.entry import Entry
from safety_regions.table_files import write_csv

VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "pandas")


def evaluate_regions(entry: Entry[EvaluateRecipe], device: str, known: dict[str, dict] | None = None) -> None:
    """Write evaluate.csv and the folder's receipt, whose facts say which regions hold more refusals than random ones.

    Inputs by role: `model`, `region/<set>`, `harmful/<set>`, `over_refusal/<set>`, `texts/<set>`, and for a method on
    adapters `adapter`, which may be the model itself. `known` is what intact models were found to do; a job's entries
    share it, so the same model is asked the same but once. Raises `UserError` for inputs that are missing, damaged, or
    not the recipe's.
    """
    recipe, loaded = entry.recipe, entry.model(device)
    with ExitStack() as stack:
        regions = {
            name: stack.enter_context(open_region(entry.region(f"region/{name}")))
            for name, _ in [*recipe.safety, *recipe.utility]
        }
        subject = _subject(entry, loaded, list(regions.values()))
        removed = union([masks_at(regions[name], recipe.p) for name, _ in recipe.utility])
        safety = {name: masks_at(regions[name], recipe.q) for name, _ in recipe.safety}
        intact = _intact(recipe, subject, {} if known is None else known)
        table, verdicts = evaluation_table(subject, safety, removed, intact)
    write_csv(table, entry.path / "evaluate.csv")
    entry.done({"removes_more_than_random": verdicts}, versions=VERSIONS)


def _intact(recipe: EvaluateRecipe, subject: Subject, known: dict[str, dict]) -> dict:
    """What the model does with nothing taken out; an adapter that is not merged is part of it."""
    asked = [recipe.model, recipe.adapter or recipe.model, recipe.asked, subject.options.max_new_tokens]
    key = canonical_json(asked)
    if key not in known:
        known[key] = {"share": 0.0, **subject.without(None), "share_of_weights": 0.0}
    return known[key]


def _subject(entry: Entry[EvaluateRecipe], loaded: LoadedModel, regions: list[Region]) -> Subject:
    options = Evaluate.model_validate(entry.recipe.options)
    header, matrices = regions[0].header, projections(loaded.model)
    remove = (
        _from_adapter(entry, loaded, regions, options)
        if header.granularity == "adapter"
        else _from_weights(loaded, regions, options)
    )
    n_weights = sum(rows * columns for rows, columns in (p.shape for p in matrices))
    return Subject(loaded, _questions(entry, loaded), options, remove, header, n_weights)


def _from_weights(loaded: LoadedModel, regions: list[Region], options: Evaluate) -> Remove:
    layout, matrices = layout_of(loaded.model), projections(loaded.model)
    header = check_fit(regions, layout)

    def remove(masks: Masks | None) -> AbstractContextManager[int | None]:
        if masks is None:
            return ablated([], lambda name: np.empty(0, np.uint64), options.replace)
        return ablated(matrices, lambda name: expand(name, masks, header, layout), options.replace)

    return remove


def _from_adapter(
    entry: Entry[EvaluateRecipe], loaded: LoadedModel, regions: list[Region], options: Evaluate
) -> Remove:
    folder, merged = entry.checked("adapter"), entry.recipe.adapter_is_merged
    adapter = load_adapter(folder, loaded.model)
    for region in regions:
        if region.header.shapes != of_kinds(factor_shapes(adapter), region.header.shapes):
            raise UserError(
                "its matrices are not those of the adapter",
                where=str(region.path),
                expected=f"the factors of {folder}",
            )

    def remove(masks: Masks | None) -> AbstractContextManager[int | None]:
        if masks is None:
            return nullcontext() if merged else adapted(loaded, adapter)
        return adapted(loaded, without_entries(adapter, masks, options.replace, merged=merged))

    return remove


def _questions(entry: Entry[EvaluateRecipe], loaded: LoadedModel) -> Questions:
    rows = {
        asked: {role: entry.rows(role) for role in (f"{asked}/{name}" for name, _ in sets)}
        for asked, sets in entry.recipe.asked.items()
    }
    prompts = {asked: [row["prompt"] for of_set in sets.values() for row in of_set] for asked, sets in rows.items()}
    texts = [_text(row, loaded, entry.inputs[role]) for role, of_set in rows["texts"].items() for row in of_set]
    return Questions(prompts["harmful"], prompts["over_refusal"], texts)


def _text(row: dict, loaded: LoadedModel, path: Path) -> Sample:
    if not row["response"]:
        raise UserError(
            "no response of the set's own",
            where=f"{path}, row {row['id']}",
            expected="a `response` column in the dataset registry, for evaluate.utility",
            hint="name other sets in evaluate.utility",
        )
    return encode_pair(
        loaded.tokenizer,
        row["prompt"],
        row["response"],
        eos_ids=loaded.eos_ids,
        plain_template=loaded.plain_template,
        id=row["id"],
    )
