"""The plan of a run: every artifact it wants. `planning.make` fills it from the configuration alone.

Built whenever the Snakefile is parsed, on every cluster job too: no torch, no network, and nothing written before
`write_jobs`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from safety_regions.artifacts.artifact import Artifact, Batch, R_co, batches_of
from safety_regions.config.model_method import ModelMethod
from safety_regions.config.registries import Registries
from safety_regions.config.run import RunConfig
from safety_regions.config.variants import Variant
from safety_regions.files import readable_json, write_text
from safety_regions.planning.recipes.data import DatasetRecipe, PromptsRecipe
from safety_regions.planning.recipes.models import AdapterRecipe, ModelRecipe
from safety_regions.planning.recipes.regions import RegionRecipe, StatisticsRecipe
from safety_regions.planning.recipes.report import FiguresRecipe, ReportRecipe
from safety_regions.planning.recipes.tables import OverlapRecipe
from safety_regions.planning.run_words import UNNAMED, RunWords


@dataclass(frozen=True)
class Plan:
    """All artifacts of one run, and the batches in which jobs make them."""

    run: RunConfig
    registries: Registries
    named: RunWords = UNNAMED
    """How a command line names the run."""
    datasets: dict[str, Artifact[DatasetRecipe]] = field(default_factory=dict)
    prompts: dict[str, Artifact[PromptsRecipe]] = field(default_factory=dict)
    draws: dict[tuple[str, int], Artifact[PromptsRecipe]] = field(default_factory=dict)
    """By set and seed: the prompts that regions are identified from, and those of other draws."""
    models: dict[str, Artifact[ModelRecipe]] = field(default_factory=dict)
    adapters: dict[ModelMethod, Artifact[AdapterRecipe] | Artifact[ModelRecipe]] = field(default_factory=dict)
    """The folder that holds the model's LoRA safety adapter, its own or one trained for it."""
    statistics: dict[ModelMethod, dict[Variant, Artifact[StatisticsRecipe]]] = field(default_factory=dict)
    """Empty for methods that keep none."""
    regions: dict[ModelMethod, dict[str, Artifact[RegionRecipe]]] = field(default_factory=dict)
    """By set."""
    replicates: dict[ModelMethod, dict[Variant, Artifact[RegionRecipe]]] = field(default_factory=dict)
    """Further regions of the sets, from other prompts or with other responses."""
    overlaps: dict[ModelMethod, Artifact[OverlapRecipe]] = field(default_factory=dict)
    figures: dict[ModelMethod, Artifact[FiguresRecipe]] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    """By manifest key."""
    batch_of: dict[str, Batch] = field(default_factory=dict)
    """By the path of a member."""
    made: dict[str, Artifact] = field(default_factory=dict)
    """Every artifact, by the digits in its path."""
    targets: list[Artifact] = field(default_factory=list)
    """What the run is for: the report, or the region files of a run that makes these alone."""
    asked: list[Artifact] = field(default_factory=list)
    """What the command line asks for besides."""

    def add(self, artifact: Artifact[R_co]) -> Artifact[R_co]:
        """Note an artifact; two with one recipe are one."""
        made: Artifact[Any] = self.made.setdefault(artifact.key, artifact)
        return made

    def add_batches(self, step: str, stem: str, artifacts: Sequence[Artifact], size: int | None = None) -> None:
        """Let jobs of `step` make these artifacts, at most `size` each; None: `machine.datasets_per_job`."""
        for batch in batches_of(step, stem, artifacts, size or self.run.machine.datasets_per_job):
            self.batches[batch.key] = batch
            self.batch_of.update((a.path, batch) for a in batch.artifacts)

    @cached_property
    def missing(self) -> dict[str, Artifact]:
        """By their digits the artifacts that are not in place and are a target, or needed to make another.

        One that was published needs nothing: its bytes are to be pulled, unless the run is to compute them again.
        """
        missing: dict[str, Artifact] = {}
        pending: list[Artifact] = [*self.targets, *self.asked]
        while pending:
            artifact = pending.pop()
            if artifact.key not in missing and not artifact.exists():
                missing[artifact.key] = artifact
                pending += [] if self._to_pull(artifact) else artifact.inputs.values()
        return missing

    def _to_pull(self, artifact: Artifact) -> bool:
        return not self.run.machine.recompute_published and artifact.is_elsewhere()

    @cached_property
    def to_pull(self) -> list[Artifact]:
        """What others published and this run needs."""
        return sorted((a for a in self.missing.values() if self._to_pull(a)), key=lambda a: a.path)

    @cached_property
    def wanted(self) -> frozenset[str]:
        """The digits of the artifacts that this run makes."""
        return frozenset(self.missing) - {a.key for a in self.to_pull}

    def ask(self, path: str) -> None:
        """Want the artifact, or the batch, to which an output path of this run belongs; other paths are ignored."""
        for key in re.findall(r"\.([0-9a-f]{12})(?=[./]|$)", path):
            self.asked.extend([self.made[key]] if key in self.made else [])
            self.asked.extend(self.batches[key].artifacts if key in self.batches else [])

    def to_make(self, batch: Batch) -> list[Artifact]:
        """The members of a batch that its job makes; one that is missing but that nothing needs any more stays away."""
        return [a for a in batch.artifacts if a.key in self.wanted]

    def write_jobs(self) -> None:
        """Write for each batch with members to be made the file that its job reads: those and the ones in place."""
        for batch in self.batches.values():
            if self.to_make(batch):
                entries = [a.entry() for a in batch.artifacts if a.key in self.wanted or a.exists()]
                write_text(batch.job, readable_json({"entries": entries}))

    @property
    def report(self) -> Artifact[ReportRecipe] | None:
        """The report; None in a run that makes regions alone."""
        return next((target for target in self.targets if isinstance(target.recipe, ReportRecipe)), None)

    def needs(self, artifacts: list[Artifact]) -> list[str]:
        """The files that must be there before these artifacts can be made."""
        return self.files_of(source for artifact in artifacts for source in artifact.inputs.values())

    def files_of(self, artifacts: Iterable[Artifact]) -> list[str]:
        """The files by which Snakemake knows that these artifacts are there: the outputs of single ones, manifests of
        the batches that have members missing."""
        files = []
        for artifact in artifacts:
            batch = self.batch_of.get(artifact.path)
            if batch is None:
                files += artifact.outputs
            elif not artifact.exists():
                files.append(batch.manifest)
        return list(dict.fromkeys(files))
