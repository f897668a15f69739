"""What a run makes: artifacts, each at a write-once path that carries the digest of its recipe.

New science is a new recipe, a new digest, a new path, a missing file: it is made. Anything else finds its file and
rests.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Generic, TypeVar

from safety_regions.artifacts.kinds import KINDS
from safety_regions.artifacts.receipts import RECEIPT, recipe_digest
from safety_regions.artifacts.recipe import Recipe

DIGITS = 12
RESULTS = "results"
LOGS = "logs"
POINTER = ".dvc"


R_co = TypeVar("R_co", bound=Recipe, covariant=True)


@dataclass(frozen=True)
class Artifact(Generic[R_co]):
    """One file or folder to be made from a recipe and other artifacts."""

    recipe: R_co
    name: str
    """Path below the folder of its kind, without digest and ending."""
    inputs: dict[str, "Artifact[Any]"] = field(default_factory=dict)
    """The artifacts it is made from, by their role."""

    @property
    def kind(self) -> str:
        """What it is: region, overlap, ..."""
        return self.recipe.kind

    @property
    def stem(self) -> str:
        """Path below `results/` without digest and ending."""
        return f"{KINDS[self.kind].folder}/{self.name}"

    @property
    def suffix(self) -> str:
        """`.jsonl`, ...; `/` and the name of a file that is always in it makes a folder."""
        return KINDS[self.kind].suffix

    @cached_property
    def digest(self) -> str:
        """sha256 of the recipe."""
        return self.recipe.digest

    @property
    def key(self) -> str:
        """The digits of the digest that stand in the path."""
        return self.digest[:DIGITS]

    @property
    def path(self) -> str:
        """The file or folder, relative to where snakemake runs."""
        return f"{RESULTS}/{self.stem}.{self.key}" + ("" if self.suffix.startswith("/") else self.suffix)

    @property
    def receipt(self) -> str:
        """The receipt, written last: when it is there, so is the artifact."""
        return f"{self.path}{RECEIPT}"

    @property
    def outputs(self) -> list[str]:
        """The files by which Snakemake knows it."""
        return [f"{RESULTS}/{self.stem}.{self.key}{self.suffix}", self.receipt]

    @property
    def pointer(self) -> str:
        """DVC's pointer to its bytes; there once it was published."""
        return f"{self.path}{POINTER}"

    def exists(self) -> bool:
        """Whether the artifact is in place, by the look of it; its consumers check the bytes."""
        return Path(self.receipt).exists() and Path(self.path).exists()

    def is_elsewhere(self) -> bool:
        """Whether it was published but its bytes are not in place here."""
        return Path(self.pointer).exists() and not self.exists()

    def entry(self) -> dict:
        """What a job is told of it: path, recipe, and the paths of its inputs."""
        inputs = {role: source.path for role, source in self.inputs.items()}
        return {"path": self.path, "recipe": self.recipe.as_json(), "inputs": inputs}


@dataclass(frozen=True)
class Batch:
    """Artifacts of one kind that one job makes after loading its model once; those already in place are left alone."""

    step: str
    stem: str
    artifacts: tuple[Artifact, ...]

    @cached_property
    def key(self) -> str:
        """Changes with every member's recipe."""
        return recipe_digest({"members": [a.digest for a in self.artifacts]})[:DIGITS]

    @property
    def path(self) -> str:
        """The manifests' path, without round and ending."""
        return f"{RESULTS}/manifests/{self.step}/{self.stem}.{self.key}"

    @property
    def job(self) -> str:
        """The file in which the job reads what it makes (`Plan.write_jobs`)."""
        return f"{LOGS}/jobs/{self.step}/{self.stem}.{self.key}.json"

    @property
    def manifest(self) -> str:
        """The file with which the next job of this batch says that it is done.

        One that is there speaks of an earlier round: members may have been deleted since, to be made again.
        """
        names = (f"{self.path}.{n}.json" for n in count(1))
        return next(name for name in names if not Path(name).exists())


def batches_of(step: str, stem: str, artifacts: Sequence[Artifact], size: int) -> list[Batch]:
    """Consecutive batches of at most `size`. They depend on the configuration alone, never on which files exist."""
    return [Batch(step, stem, tuple(artifacts[i : i + size])) for i in range(0, len(artifacts), size)]


FIGURES = Path("figures")
