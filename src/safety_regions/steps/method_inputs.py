"""What a method looks at beside a model and samples: other prompts, an adapter."""

from functools import cache
from pathlib import Path
from typing import Any

from safety_regions.artifacts import receipts
from safety_regions.files import read_jsonl
from safety_regions.models.adapter import LoraAdapter, load_adapter
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, encode_prompt
from safety_regions.steps.jobs import Entry


def method_inputs(entry: Entry, loaded: LoadedModel) -> dict[str, Any]:
    """What its method looks at beside the samples, by keyword."""
    return _prompts_needed(entry, loaded) | adapter_input(entry, loaded)


def _prompts_needed(entry: Entry, loaded: LoadedModel) -> dict[str, Any]:
    """The other prompts that SafeLayer looks at: `normal` ones as tokens, `over_rejection` ones as text."""
    if "normal" not in entry.recipe:
        return {}
    normal = [(row["id"], row["prompt"]) for row in read_jsonl(entry.checked("normal"))]
    tokens = [(id, tuple(encode_prompt(loaded.tokenizer, text, loaded.plain_template))) for id, text in normal]
    texts = []
    for role, digest in entry.recipe["over_rejection"].items():
        receipts.check(entry.inputs[f"over_rejection/{role}"], digest)
        texts += [row["prompt"] for row in read_jsonl(entry.inputs[f"over_rejection/{role}"])]
    return {"normal": [Sample(id, ids, len(ids)) for id, ids in tokens], "over_rejection": texts}


def adapter_input(entry: Entry, loaded: LoadedModel) -> dict[str, Any]:
    """The model's LoRA adapter; an aligned model has its own, merged into its weights."""
    if "adapter" not in entry.recipe:
        return {}
    merged = entry.recipe["adapter"] == entry.recipe["model"]
    return {"adapter": _load_adapter(entry.checked("adapter"), loaded), "merged": merged}


@cache
def _load_adapter(folder: Path, loaded: LoadedModel) -> LoraAdapter:
    return load_adapter(folder, loaded.model)
