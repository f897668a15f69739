"""One model and method in, two tables out: what the model does without the regions, and without their controls."""

from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial

import numpy as np
import pandas as pd

from safety_regions.config.evaluate import Evaluate
from safety_regions.errors import UserError
from safety_regions.evaluation.ablate import ablated, without_entries
from safety_regions.evaluation.magnitudes import of_entries, of_neurons, of_weights
from safety_regions.evaluation.table import Found, Regions, Remove, Subject, evaluation_tables
from safety_regions.files import canonical_json
from safety_regions.models.adapter import adapted, factor_shapes, load_adapter
from safety_regions.models.architecture import layout_of, projections
from safety_regions.models.behaviour import Questions
from safety_regions.models.judge import Judge
from safety_regions.models.load import LoadedModel
from safety_regions.overlap.counts import STAGES
from safety_regions.planning.recipes.tables import EvaluateRecipe
from safety_regions.regions.first_elements import nest_of
from safety_regions.regions.format import Region, open_region
from safety_regions.regions.masks import Masks, masks_at, union
from safety_regions.regions.owned_weights import check_fit, expand, of_kinds
from safety_regions.regions.random_regions import Magnitudes
from safety_regions.steps.entry import Entry
from safety_regions.steps.judged import judged_facts
from safety_regions.steps.questions import own_pairs, prompts_of
from safety_regions.table_files import write_csv

VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "pandas")


def evaluate_regions(entry: Entry[EvaluateRecipe], device: str, known: dict[str, Found] | None = None) -> None:
    """Write evaluate.csv, outcomes.csv and the folder's receipt.

    Its facts say which regions hold more refusals than random ones, and the outcomes' shares of the harmful prompts.

    Inputs by role: `model`, `region/<set>`, `harmless/<safety set>`, `harmful/<set>`, `over_refusal/<set>`,
    `texts/<set>`, for a method on adapters `adapter`, which may be the model itself, and `judge` where one
    tells outcomes. `known` is what intact models were found to do; a job's entries share it, so the same model is asked
    the same but once. Raises `UserError` for inputs that are missing, damaged, or not the recipe's.
    """
    recipe, loaded = entry.recipe, entry.model(device)
    with ExitStack() as stack:
        opened = {
            role: stack.enter_context(open_region(entry.region(role)))
            for role in entry.recipe.inputs
            if role.startswith(("region/", "harmless/"))
        }
        subject = _subject(entry, loaded, list(opened.values()), entry.judge(device))
        intact = _intact(recipe, subject, {} if known is None else known)
        # A range of layers is the same at every fraction.
        doses = [recipe.q] if subject.header.region_shape == "range" else recipe.doses
        found = evaluation_tables(subject, _regions(recipe, opened), doses, recipe.q, intact)
    write_csv(found.rates, entry.path / "evaluate.csv")
    write_csv(found.outcomes, entry.path / "outcomes.csv")
    verdicts = {name: {f"{dose:g}": more for dose, more in of.items()} for name, of in found.verdicts.items()}
    facts = {"removes_more_than_random": verdicts, "outcomes": _outcomes(found.rates, recipe.q)}
    facts |= judged_facts(entry, found.outcomes)
    entry.done(facts, versions=VERSIONS)


def _regions(recipe: EvaluateRecipe, opened: dict[str, Region]) -> Regions:
    utility = [opened[f"region/{name}"] for name, _ in recipe.utility]
    removed = union([masks_at(region, recipe.p) for region in utility])
    return Regions(
        safety={name: partial(masks_at, opened[f"region/{name}"]) for name, _ in recipe.safety},
        removed=removed,
        utility=nest_of(utility),
        harmless={name: nest_of([opened[f"harmless/{name}"]], removed) for name, _ in recipe.harmless},
    )


def _outcomes(rates: pd.DataFrame, q: float) -> dict[str, dict[str, dict[str, float]]]:
    """By set and condition at q: the shares of the harmful prompts that are refused, degenerate and answered."""
    shares: dict[str, dict[str, dict[str, float]]] = {}
    at_q = rates["condition"].eq("intact") | (rates["condition"].isin(STAGES) & rates["dose"].eq(q))
    for row in rates[at_q].to_dict("records"):
        of_set = shares.setdefault(row["set"], {})
        of_set[row["condition"]] = {
            outcome: round(row[f"{column}_rate"], 6)
            for outcome, column in (("refuses", "refusal"), ("degenerate", "degenerate"), ("answers", "answer"))
        }
    return shares


def _intact(recipe: EvaluateRecipe, subject: Subject, known: dict[str, Found]) -> Found:
    """What the model does with nothing taken out; an adapter that is not merged is part of it."""
    asked = [recipe.model, recipe.adapter or recipe.model, recipe.asked, subject.options.max_new_tokens, recipe.judge]
    key = canonical_json(asked)
    if key not in known:
        known[key] = subject.intact()
    return known[key]


def _subject(entry: Entry[EvaluateRecipe], loaded: LoadedModel, regions: list[Region], judge: Judge | None) -> Subject:
    options = Evaluate.model_validate(entry.recipe.options)
    header, matrices = regions[0].header, projections(loaded.model)
    remove, magnitudes = (
        _from_adapter(entry, loaded, regions, options)
        if header.granularity == "adapter"
        else _from_weights(loaded, regions, options)
    )
    n_weights = sum(rows * columns for rows, columns in (p.shape for p in matrices))
    return Subject(loaded, _questions(entry, loaded), options, remove, header, n_weights, magnitudes, judge)


def _from_weights(loaded: LoadedModel, regions: list[Region], options: Evaluate) -> tuple[Remove, Magnitudes | None]:
    layout, matrices = layout_of(loaded.model), projections(loaded.model)
    header = check_fit(regions, layout)

    def remove(masks: Masks | None) -> AbstractContextManager[int | None]:
        if masks is None:
            return ablated([], lambda name: np.empty(0, np.uint64), options.replace)
        return ablated(matrices, lambda name: expand(name, masks, header, layout), options.replace)

    magnitudes = {"weight": of_weights(matrices), "neuron": of_neurons(matrices, layout)}
    return remove, magnitudes.get(header.granularity)


def _from_adapter(
    entry: Entry[EvaluateRecipe], loaded: LoadedModel, regions: list[Region], options: Evaluate
) -> tuple[Remove, Magnitudes]:
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

    return remove, of_entries(adapter)


def _questions(entry: Entry[EvaluateRecipe], loaded: LoadedModel) -> Questions:
    recipe = entry.recipe
    return Questions(
        prompts_of(entry, "harmful", recipe.harmful),
        prompts_of(entry, "over_refusal", recipe.over_refusal),
        own_pairs(entry, "texts", recipe.texts, loaded, "evaluate.texts"),
    )
