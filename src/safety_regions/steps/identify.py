"""(prompt, response) pairs and a model in, a region out: measure a statistic, score, select, store.

`measure` and `select` are two jobs for a method whose statistic is small and kept; `identify` does both for one whose
statistic is as large as the weights.
"""

from collections.abc import Mapping

import numpy as np
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from safety_regions import receipts
from safety_regions.code import code_digests
from safety_regions.config.run import Machine
from safety_regions.errors import UserError
from safety_regions.jobs import Entry
from safety_regions.methods.catalogue import CATALOGUE
from safety_regions.methods.interface import method
from safety_regions.models.architecture import projections
from safety_regions.models.load import LoadedModel, load_once
from safety_regions.models.tokens import Sample, encode_pair
from safety_regions.regions import write_region
from safety_regions.select import select
from safety_regions.store import atomic_path, read_jsonl

VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "safetensors", "zstandard")


MODULES = tuple(
    f"safety_regions.{name}" for name in ("models.tokens", "models.architecture", "models.load", "select", "regions")
)
"""Our modules that decide a region's bytes, beside the method's own."""


def measure(entry: Entry, machine: Machine) -> None:
    """Write the statistic of one set, and its receipt."""
    statistics, facts = _measured(entry, machine)
    with atomic_path(entry.path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in statistics.items()}, temporary)
    _receipt(entry, facts)


def select_region(entry: Entry) -> None:
    """Write the region that follows from a kept statistic and the weights, and its receipt."""
    _check_version(entry)
    loaded = _load(entry, "cpu")
    path = entry.checked("statistics")
    with safe_open(path, framework="pt") as file:
        statistics = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    _write_region(entry, loaded, statistics, receipts.read(path).facts)


def identify(entry: Entry, machine: Machine) -> None:
    """Measure and select in one go, for a method that keeps no statistic."""
    statistics, facts = _measured(entry, machine)
    _write_region(entry, _load(entry, machine.device), statistics, facts)


def _measured(entry: Entry, machine: Machine) -> tuple[dict[str, Tensor], dict]:
    _check_version(entry)
    loaded = _load(entry, machine.device)
    samples = _samples(entry, loaded)
    statistics = method(entry.recipe["method"]).measure(loaded, samples, machine.batch_tokens)
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


def _write_region(entry: Entry, loaded: LoadedModel, statistics: Mapping[str, Tensor], facts: dict) -> None:
    matrices = {p.name: p for p in projections(loaded.model)}
    of = method(entry.recipe["method"])

    def score(name: str) -> np.ndarray:
        matrix = matrices[name]
        weight = matrix.module.weight.detach()[matrix.start : matrix.stop].cpu()
        return of.score(weight, statistics[name]).numpy()

    grid, scope = entry.recipe["grid"], entry.recipe["scope"]
    levels = select(list(matrices), score, grid, scope)
    header = write_region(entry.path, levels, recipe_digest=entry.digest, grid=grid, scope=scope)
    held = [sum(counts[i] for counts in header.counts.values()) for i in range(len(grid))]
    n_elements = sum(rows * columns for rows, columns in header.shapes.values())
    _receipt(entry, {**facts, "n_elements": n_elements, "n_in_fraction": dict(zip(map(str, grid), held, strict=True))})


def _receipt(entry: Entry, facts: dict) -> None:
    code = code_digests(f"safety_regions.methods.{entry.recipe['method']}", *MODULES)
    receipts.write(entry.path, entry.recipe, facts, versions=VERSIONS, code=code)


def _load(entry: Entry, device: str) -> LoadedModel:
    return load_once(entry.inputs["model"], device, entry.recipe["model"])
