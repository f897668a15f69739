"""Recipes of what comes from datasets alone: rows, samples of prompts, the table of prompts that sets share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.artifacts.recipe import Recipe
from safety_regions.config.datasets import DatasetSpec, LocalDataset, SyntheticDataset
from safety_regions.data import synthetic
from safety_regions.errors import UserError, did_you_mean
from safety_regions.files import sha256_of_file


class OfSet(NamedTuple):
    """A set, and the digest of the recipe of what is meant of it; lists of these keep the order of sets."""

    set: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class DatasetRecipe(Recipe):
    """All rows of a dataset."""

    kind: ClassVar[str] = "dataset"
    version: int = VERSIONS["dataset"]
    dataset: str
    spec: dict[str, Any]
    """The registry's entry (`config.datasets.DatasetSpec`) without what changes no row: licence, citation, the path of
    a local file."""
    sha256: str | None = None
    """Of a local file."""
    corpus: int | None = None
    """Version of the embedded corpus, for a set of it."""


@dataclass(frozen=True, kw_only=True)
class PromptsRecipe(Recipe):
    """A sample of a dataset's prompts: `n_samples` after the first `offset` in the order that `seed` gives."""

    kind: ClassVar[str] = "prompts"
    version: int = VERSIONS["prompts"]
    dataset: str
    rows: str
    """Digest of the dataset's recipe."""
    n_samples: int
    seed: int
    offset: int
    deduplicate: str
    near_duplicate: float | None = None
    """Similarity from which a prompt nearly repeats another; None where nothing is compared."""
    earlier: list[str] | None = None
    """Digests of the sets listed before it; None unless repeats are dropped across sets."""
    apart_from: list[str] | None = None
    """Digests of samples that regions are identified from: none of their prompts is drawn, and what nearly repeats them
    last; None if there are none."""

    @property
    def inputs(self) -> dict[str, str]:
        """Rows, those of earlier sets, and samples that this one must not repeat."""
        others = {"earlier": self.earlier, "apart": self.apart_from}
        return {"rows": self.rows} | {
            f"{role}{i}": of for role, all_of in others.items() for i, of in enumerate(all_of or [])
        }


@dataclass(frozen=True, kw_only=True)
class PromptOverlapRecipe(Recipe):
    """The table of how many prompts each pair of sets shares."""

    kind: ClassVar[str] = "prompt_overlap"
    version: int = VERSIONS["prompt_overlap"]
    prompts: list[OfSet]
    near_duplicate: float

    @property
    def inputs(self) -> dict[str, str]:
        """The prompts of each set."""
        return dict(self.prompts)


def dataset_recipe(name: str, spec: DatasetSpec) -> DatasetRecipe:
    """The recipe of all rows of a dataset. Title, licence and citation change no row, so they are no part of it.

    A local file enters with its sha256 and not with its path, an embedded set with the version of the corpus. Raises
    `UserError` if the local file is missing or there is no such embedded set.
    """
    content = spec.model_dump(mode="json", exclude={"title", "licence", "citation"})
    if content["source"].get("delimiter") == ",":  # it says nothing new
        del content["source"]["delimiter"]
    sha256 = corpus = None
    if isinstance(spec.source, LocalDataset):
        sha256 = _sha256_of_local(name, spec.source)
        del content["source"]["path"], content["source"]["sha256"]
    if isinstance(spec.source, SyntheticDataset):
        if spec.source.name not in synthetic.DATASETS:
            hint = did_you_mean(spec.source.name, synthetic.DATASETS)
            raise UserError(f"no synthetic set {spec.source.name!r}", where=f"dataset {name}", hint=hint)
        corpus = synthetic.VERSION
    return DatasetRecipe(dataset=name, spec=content, sha256=sha256, corpus=corpus)


def _sha256_of_local(name: str, source: LocalDataset) -> str:
    path = Path(source.path)
    if path.is_file():
        found = sha256_of_file(path)
        if source.sha256 not in (None, found):
            hint = "the file was changed, or is another: bring the one that is meant, or correct `sha256`"
            raise UserError(
                f"sha256 {found}", where=f"dataset {name}, {path}", expected=f"sha256 {source.sha256}", hint=hint
            )
        return found
    if source.sha256 is not None:
        return source.sha256
    there = [p.name for p in path.parent.iterdir() if p.is_file()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, there) if there else "paths are relative to the folder in which snakemake runs"
    raise UserError("file missing", where=f"dataset {name}, {path}", expected="a file", hint=hint)


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
    apart_from: list[str] | None = None,
) -> PromptsRecipe:
    """The recipe of a sample of dataset `name`.

    `rows`: full digest of the dataset's recipe; `earlier`: those of the sets listed before it; `apart_from`: those of
    samples that it must not repeat, with all repeats of its own kept. What has no influence (`near_duplicate` where
    nothing is compared, `earlier` unless `across`) stays out.
    """
    return PromptsRecipe(
        dataset=name,
        rows=rows,
        n_samples=n_samples,
        seed=seed,
        offset=offset,
        deduplicate=deduplicate,
        near_duplicate=near_duplicate if deduplicate != "none" or apart_from else None,
        earlier=list(earlier or []) if deduplicate == "across" else None,
        apart_from=list(apart_from) if apart_from else None,
    )
