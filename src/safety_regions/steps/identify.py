"""(prompt, response) pairs and a model in, a region out: measure a statistic, score, select, store.

`measure` and `select_region` are two jobs for a method whose statistic is small and kept; `identify` does both for one whose
statistic is as large as the weights.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from safety_regions import receipts
from safety_regions.code import code_digests
from safety_regions.config.methods import options_of
from safety_regions.config.run import Machine
from safety_regions.errors import UserError
from safety_regions.jobs import Entry
from safety_regions.methods.catalogue import CATALOGUE
from safety_regions.methods.interface import method
from safety_regions.models.adapter import LoraAdapter, load_adapter
from safety_regions.models.load import LoadedModel, load_once
from safety_regions.models.tokens import Sample, encode_pair, encode_prompt
from safety_regions.regions import Header, write_region
from safety_regions.select import Cut
from safety_regions.store import atomic_path, read_jsonl

VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "safetensors", "zstandard")
MODULES = tuple(
    f"safety_regions.{name}" for name in ("models.tokens", "models.architecture", "models.load", "select", "regions")
)
"""Our modules that decide a region's bytes, beside the method's own."""
OWN_MODULES = {
    "snip": ("methods.weights",),
    "wanda": ("methods.weights", "models.response_inputs"),
    "safeneuron": ("models.attention",),
    "safelayer": ("methods.layer_range", "models.scaling", "responses", "refusals"),
    "nlsr": ("models.adapter", "models.response_inputs"),
}
"""What a method's module rests on."""


def measure(entry: Entry, machine: Machine) -> None:
    """Write the statistic of one set, and its receipt."""
    statistics, facts = _measured(entry, machine)
    with atomic_path(entry.path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in statistics.items()}, temporary)
    _receipt(entry, facts)


def select_region(entry: Entry) -> None:
    """Write the region that follows from a kept statistic and the weights, and its receipt."""
    _check_version(entry)
    path = entry.checked("statistics")
    with safe_open(path, framework="pt") as file:
        statistics = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    _write_region(entry, _load(entry, "cpu"), statistics, receipts.read(path).facts)


def identify(entry: Entry, machine: Machine) -> None:
    """Measure and select in one go, for a method that keeps no statistic."""
    statistics, facts = _measured(entry, machine)
    _write_region(entry, _load(entry, machine.device), statistics, facts)


def _measured(entry: Entry, machine: Machine) -> tuple[dict[str, Tensor], dict]:
    _check_version(entry)
    loaded = _load(entry, machine.device)
    samples = _samples(entry, loaded)
    needs = _prompts_needed(entry, loaded) | _adapter_needed(entry, loaded)
    name, options = entry.recipe["method"], entry.recipe["options"]
    statistics = method(name).measure(
        loaded, samples, options_of(name, options), batch_tokens=machine.batch_tokens, **needs
    )
    n_response = [len(s.input_ids) - s.n_prompt for s in samples]
    pairs = receipts.read(entry.inputs["pairs"]).facts
    facts = {
        "n_samples": len(samples),
        **{key: pairs[key] for key in ("share_refused", "n_cut", "n_empty")},
        "mean_response_tokens": round(sum(n_response) / len(samples), 2),
        "mean_tokens": round(sum(len(s.input_ids) for s in samples) / len(samples), 2),
    }
    return statistics, facts


def _check_version(entry: Entry) -> None:
    """A recipe of another version of the method asks for bytes that this code does not make."""
    version = CATALOGUE[entry.recipe["method"]].version
    if entry.recipe["version"] != version:
        raise UserError(f"version {entry.recipe['version']} of {entry.recipe['method']}", where=str(entry.path), expected=f"version {version}, which this code has", hint="run snakemake with this code's plan, or use the code of that version")  # fmt: skip


def _samples(entry: Entry, loaded: LoadedModel) -> list[Sample]:
    path = entry.checked("pairs")
    rows = read_jsonl(path)
    samples = [_encode(row, loaded) for row in rows]
    empty = [s.id for s in samples if len(s.input_ids) == s.n_prompt]
    if empty:
        raise UserError(f"{len(empty)} responses without a single token: {', '.join(empty[:5])}", where=str(path), expected="a response for every prompt", hint="raise responses.max_new_tokens, or use responses.policy: template")  # fmt: skip
    return samples


def _encode(row: dict, loaded: LoadedModel) -> Sample:
    return encode_pair(
        loaded.tokenizer,
        row["prompt"],
        row["response"],
        eos_ids=loaded.eos_ids,
        finished=row["finished"],
        plain_template=loaded.plain_template,
        id=row["id"],
    )


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


def _adapter_needed(entry: Entry, loaded: LoadedModel) -> dict[str, Any]:
    """The model's LoRA adapter; an aligned model has its own, merged into its weights."""
    if "adapter" not in entry.recipe:
        return {}
    merged = entry.recipe["adapter"] == entry.recipe["model"]
    return {"adapter": _load_adapter(entry.checked("adapter"), loaded), "merged": merged}


@cache
def _load_adapter(folder: Path, loaded: LoadedModel) -> LoraAdapter:
    return load_adapter(folder, loaded.model)


def _write_region(entry: Entry, loaded: LoadedModel, statistics: Mapping[str, Tensor], facts: dict) -> None:
    name, of = entry.recipe["method"], method(entry.recipe["method"])
    cut = Cut(tuple(entry.recipe["grid"]), entry.recipe["scope"])
    options = options_of(name, entry.recipe.get("options", {}))
    levels = of.levels(loaded, statistics, options, cut, **_adapter_needed(entry, loaded))
    header = write_region(
        entry.path, levels, recipe_digest=entry.digest, cut=cut, granularity=CATALOGUE[name].granularity
    )
    own = of.facts(statistics) if hasattr(of, "facts") else {}
    _receipt(entry, facts | _sizes(header) | own)


def _sizes(header: Header) -> dict:
    held = [sum(counts[i] for counts in header.counts.values()) for i in range(len(header.grid))]
    n_elements = sum(rows * columns for rows, columns in header.shapes.values())
    return {
        "granularity": header.granularity,
        "n_elements": n_elements,
        "n_in_fraction": dict(zip(map(str, header.grid), held, strict=True)),
    }


def _receipt(entry: Entry, facts: dict) -> None:
    name = entry.recipe["method"]
    own = [f"safety_regions.{module}" for module in (f"methods.{name}", *OWN_MODULES[name])]
    code = code_digests(*own, *MODULES)
    receipts.write(entry.path, entry.recipe, facts, versions=VERSIONS, code=code)


def _load(entry: Entry, device: str) -> LoadedModel:
    return load_once(entry.inputs["model"], device, entry.recipe["model"])
