"""One model and method in, one table out: what the model does without the regions, and without random ones."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import numpy as np

from safety_regions.artifacts import receipts
from safety_regions.config.evaluate import Evaluate
from safety_regions.errors import UserError
from safety_regions.evaluation.ablate import ablated, without_entries
from safety_regions.evaluation.evaluate import Questions
from safety_regions.evaluation.table import Remove, Subject, evaluation_table
from safety_regions.files import canonical_json, read_jsonl
from safety_regions.models.adapter import adapted, factor_shapes, load_adapter
from safety_regions.models.architecture import layout_of, projections
from safety_regions.models.load import LoadedModel, load_once
from safety_regions.models.tokens import Sample, encode_pair
from safety_regions.regions.format import Region, open_region
from safety_regions.regions.masks import Masks, masks_at, union
from safety_regions.regions.owned_weights import check_fit, expand, of_kinds
from safety_regions.steps.inputs import checked_region, given
from safety_regions.steps.jobs import Entry
from safety_regions.table_files import write_csv

VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "pandas")


def evaluate_regions(entry: Entry, device: str, known: dict[str, dict] | None = None) -> None:
    """Write evaluate.csv and the folder's receipt, whose facts say which regions hold more refusals than random ones.

    Inputs by role: `model`, `region/<set>`, `harmful/<set>`, `over_refusal/<set>`, `texts/<set>`, and for a method on
    adapters `adapter`, which may be the model itself. `known` is what intact models were found to do; a job's entries
    share it, so the same model is asked the same but once. Raises `UserError` for inputs that are missing, damaged, or
    not the recipe's.
    """
    recipe, inputs = entry.recipe, entry.inputs
    loaded = load_once(given(inputs, "model", "--job"), device, recipe["model"])
    with ExitStack() as stack:
        regions = {}
        for name, digest in [*recipe["safety"], *recipe["utility"]]:
            path = checked_region(given(inputs, f"region/{name}", "--job"), digest)
            regions[name] = stack.enter_context(open_region(path))
        subject = _subject(recipe, inputs, loaded, list(regions.values()))
        removed = union([masks_at(regions[name], recipe["p"]) for name, _ in recipe["utility"]])
        safety = {name: masks_at(regions[name], recipe["q"]) for name, _ in recipe["safety"]}
        table, verdicts = evaluation_table(
            subject, safety, removed, _intact(recipe, subject, {} if known is None else known)
        )
    write_csv(table, entry.path / "evaluate.csv")
    facts = {"removes_more_than_random": verdicts}
    receipts.write(entry.path, recipe, facts, versions=VERSIONS)


def _intact(recipe: dict, subject: Subject, known: dict[str, dict]) -> dict:
    """What the model does with nothing taken out; an adapter that is not merged is part of it."""
    asked = {key: recipe[key] for key in ("model", "harmful", "over_refusal", "texts")}
    key = canonical_json([asked, recipe.get("adapter", recipe["model"]), subject.options.max_new_tokens])
    if key not in known:
        known[key] = {"share": 0.0, **subject.without(None), "share_of_weights": 0.0}
    return known[key]


def _subject(recipe: dict, inputs: dict[str, Path], loaded: LoadedModel, regions: list[Region]) -> Subject:
    options = Evaluate.model_validate(recipe["options"])
    header, matrices = regions[0].header, projections(loaded.model)
    remove = (
        _from_adapter(recipe, inputs, loaded, regions, options)
        if header.granularity == "adapter"
        else _from_weights(loaded, regions, options)
    )
    n_weights = sum(rows * columns for rows, columns in (p.shape for p in matrices))
    return Subject(loaded, _questions(recipe, inputs, loaded), options, remove, header, n_weights)


def _from_weights(loaded: LoadedModel, regions: list[Region], options: Evaluate) -> Remove:
    layout, matrices = layout_of(loaded.model), projections(loaded.model)
    header = check_fit(regions, layout)

    def remove(masks: Masks | None) -> AbstractContextManager[int | None]:
        if masks is None:
            return ablated([], lambda name: np.empty(0, np.uint64), options.replace)
        return ablated(matrices, lambda name: expand(name, masks, header, layout), options.replace)

    return remove


def _from_adapter(
    recipe: dict, inputs: dict[str, Path], loaded: LoadedModel, regions: list[Region], options: Evaluate
) -> Remove:
    receipts.check(given(inputs, "adapter", "--job"), recipe["adapter"])
    adapter = load_adapter(inputs["adapter"], loaded.model)
    for region in regions:
        if region.header.shapes != of_kinds(factor_shapes(adapter), region.header.shapes):
            raise UserError(
                "its matrices are not those of the adapter",
                where=str(region.path),
                expected=f"the factors of {inputs['adapter']}",
            )
    merged = recipe["adapter"] == recipe["model"]

    def remove(masks: Masks | None) -> AbstractContextManager[int | None]:
        if masks is None:
            return nullcontext() if merged else adapted(loaded, adapter)
        return adapted(loaded, without_entries(adapter, masks, options.replace, merged=merged))

    return remove


def _questions(recipe: dict, inputs: dict[str, Path], loaded: LoadedModel) -> Questions:
    texts = [_text(row, loaded, path) for path, rows in _prompts(recipe, inputs, "texts") for row in rows]
    asked = {
        role: [row["prompt"] for _, rows in _prompts(recipe, inputs, role) for row in rows]
        for role in ("harmful", "over_refusal")
    }
    return Questions(asked["harmful"], asked["over_refusal"], texts)


def _prompts(recipe: dict, inputs: dict[str, Path], role: str) -> Iterator[tuple[Path, list[dict]]]:
    for name, digest in recipe[role]:
        path = given(inputs, f"{role}/{name}", "--job")
        receipts.check(path, digest)
        yield path, read_jsonl(path)


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
