"""What a method looks at beside a model and samples: other prompts, an adapter."""

from functools import cache
from pathlib import Path
from typing import Any

from safety_regions.artifacts import receipts
from safety_regions.config.method_catalogue import CATALOGUE, OtherPrompts
from safety_regions.files import read_jsonl
from safety_regions.models.adapter import LoraAdapter, load_adapter
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, encode_prompt
from safety_regions.steps.jobs import Entry


def method_inputs(entry: Entry, loaded: LoadedModel) -> dict[str, Any]:
    """What its method looks at beside the samples, by keyword."""
    prompts = {of.role: _other_prompts(entry, of, loaded) for of in CATALOGUE[entry.recipe["method"]].prompts}
    return prompts | adapter_input(entry, loaded)


def _other_prompts(entry: Entry, of: OtherPrompts, loaded: LoadedModel) -> list[Sample] | list[str]:
    """The prompts of a role, of all its sets: those that are answered as text, others as tokens."""
    digests = entry.recipe[of.role]
    by_role = {f"{of.role}/{name}": digest for name, digest in digests.items()} if of.several else {of.role: digests}
    rows: list[dict] = []
    for role, digest in by_role.items():
        receipts.check(entry.inputs[role], digest)
        rows += read_jsonl(entry.inputs[role])
    if of.times_answered:
        return [row["prompt"] for row in rows]
    tokens = [tuple(encode_prompt(loaded.tokenizer, row["prompt"], loaded.plain_template)) for row in rows]
    return [Sample(row["id"], ids, len(ids)) for row, ids in zip(rows, tokens, strict=True)]


def adapter_input(entry: Entry, loaded: LoadedModel) -> dict[str, Any]:
    """The model's LoRA adapter; an aligned model has its own, merged into its weights."""
    if "adapter" not in entry.recipe:
        return {}
    merged = entry.recipe["adapter"] == entry.recipe["model"]
    return {"adapter": _load_adapter(entry.checked("adapter"), loaded), "merged": merged}


@cache
def _load_adapter(folder: Path, loaded: LoadedModel) -> LoraAdapter:
    return load_adapter(folder, loaded.model)
