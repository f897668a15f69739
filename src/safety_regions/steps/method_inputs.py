"""What a method looks at beside a model and samples: other prompts, an adapter."""

from functools import cache
from pathlib import Path
from typing import Any

from safety_regions.config.method_catalogue import CATALOGUE, OtherPrompts
from safety_regions.models.adapter import LoraAdapter, load_adapter
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, encode_prompt
from safety_regions.planning.recipes.regions import MethodRecipe
from safety_regions.steps.entry import Entry


def method_inputs(entry: Entry[MethodRecipe], loaded: LoadedModel) -> dict[str, Any]:
    """What its method looks at beside the samples, by keyword."""
    prompts = {of.role: _other_prompts(entry, of, loaded) for of in CATALOGUE[entry.recipe.method].prompts}
    plays = {f"is_{entry.recipe.plays}": True} if entry.recipe.plays else {}
    return prompts | plays | adapter_input(entry, loaded)


def _other_prompts(entry: Entry[MethodRecipe], of: OtherPrompts, loaded: LoadedModel) -> list[Sample] | list[str]:
    """The prompts of a role, of all its sets: those that are answered as text, others as tokens."""
    rows = [row for role in entry.recipe.roles_of(of.role) for row in entry.rows(role)]
    if of.times_answered:
        return [row["prompt"] for row in rows]
    tokens = [tuple(encode_prompt(loaded.tokenizer, row["prompt"], loaded.plain_template)) for row in rows]
    return [Sample(row["id"], ids, len(ids)) for row, ids in zip(rows, tokens, strict=True)]


def adapter_input(entry: Entry[MethodRecipe], loaded: LoadedModel) -> dict[str, Any]:
    """The model's LoRA adapter; an aligned model has its own, merged into its weights."""
    if entry.recipe.adapter is None:
        return {}
    return {"adapter": _load_adapter(entry.checked("adapter"), loaded), "merged": entry.recipe.adapter_is_merged}


@cache
def _load_adapter(folder: Path, loaded: LoadedModel) -> LoraAdapter:
    return load_adapter(folder, loaded.model)
