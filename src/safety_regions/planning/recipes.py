"""Recipes of the data phase: what a set of rows, a sample, an overlap table is made from, known before any of it is
made.

Imported while the Snakefile is parsed: no heavy imports, no network; a local file is the only thing read.
"""

from pathlib import Path

from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.datasets import DatasetSpec, LocalDataset, SyntheticDataset
from safety_regions.config.models import ModelSpec
from safety_regions.data import synthetic
from safety_regions.errors import UserError, did_you_mean
from safety_regions.files import sha256_of_file


def dataset_recipe(name: str, spec: DatasetSpec) -> dict:
    """The recipe of all rows of a dataset. Licence and citation change no row, so they are no part of it.

    A local file enters with its sha256 and not with its path, an embedded set with the version of the corpus. Raises
    `UserError` if the local file is missing or there is no such embedded set.
    """
    content = spec.model_dump(mode="json", exclude={"licence", "citation"})
    recipe = {"kind": "dataset", "version": VERSIONS["dataset"], "dataset": name, "spec": content}
    if isinstance(spec.source, LocalDataset):
        recipe["sha256"] = _sha256_of_local(name, spec.source)
        del content["source"]["path"]
    if isinstance(spec.source, SyntheticDataset):
        if spec.source.name not in synthetic.DATASETS:
            hint = did_you_mean(spec.source.name, synthetic.DATASETS)
            raise UserError(f"no synthetic set {spec.source.name!r}", where=f"dataset {name}", hint=hint)
        recipe["corpus"] = synthetic.VERSION
    return recipe


def prompts_recipe(
    name: str,
    rows: str,
    *,
    n_samples: int,
    seed: int,
    offset: int = 0,
    deduplicate: str = "none",
    near_duplicate: float = 0.6,
    earlier: list[str] | None = None,
) -> dict:
    """The recipe of a sample of dataset `name`.

    `rows`: full digest of the dataset's recipe; `earlier`: those of the sets listed before it. What has no influence
    (`near_duplicate` without de-duplication, `earlier` unless `across`) stays out.
    """
    recipe = {"kind": "prompts", "version": VERSIONS["prompts"], "dataset": name, "rows": rows}
    recipe |= {"n_samples": n_samples, "seed": seed, "offset": offset, "deduplicate": deduplicate}
    if deduplicate != "none":
        recipe["near_duplicate"] = near_duplicate
    if deduplicate == "across":
        recipe["earlier"] = list(earlier or [])
    return recipe


def prompt_overlap_recipe(prompts: dict[str, str], near_duplicate: float) -> dict:
    """The recipe of the prompt overlap table; `prompts`: digest of each sample's recipe, in the order of the table."""
    sets = [[name, digest] for name, digest in prompts.items()]
    version = VERSIONS["prompt_overlap"]
    return {"kind": "prompt_overlap", "version": version, "prompts": sets, "near_duplicate": near_duplicate}


def _sha256_of_local(name: str, source: LocalDataset) -> str:
    path = Path(source.path)
    if path.is_file():
        return sha256_of_file(path)
    there = [p.name for p in path.parent.iterdir() if p.is_file()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, there) if there else "paths are relative to the folder in which snakemake runs"
    raise UserError("file missing", where=f"dataset {name}, {path}", expected="a file", hint=hint)


def model_recipe(
    name: str, spec: ModelSpec, *, base_digest: str | None = None, data_digests: dict[str, str] | None = None
) -> dict:
    """The recipe of one model of the registry, as plain JSON values.

    An aligned model also needs the digest of its base model's recipe and, for each dataset it trains on, the digest of
    the fetched dataset's recipe.
    """
    source = spec.source.model_dump(mode="json")
    if spec.source.kind == "local":
        source.pop("path")
    recipe = {
        "kind": "model",
        "version": VERSIONS["model"],
        "model": name,
        "source": source,
        "dtype": spec.dtype,
        "plain_template": spec.plain_template,
    }
    if spec.source.kind == "tiny":
        recipe["corpus_version"] = synthetic.VERSION
    if spec.source.kind == "aligned":
        wanted = {*spec.source.harmful, *spec.source.harmless}
        if base_digest is None or set(data_digests or {}) != wanted:
            raise ValueError(f"the recipe of {name} needs the digests of its base model and of {sorted(wanted)}")
        recipe |= {"base": base_digest, "data": dict(data_digests or {})}
    return recipe
