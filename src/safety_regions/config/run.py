"""What one run (config/demo.yaml, config/small.yaml, ...) may say: the science in it, and nothing about machines but
`machine`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from safety_regions.config.base import SILENT, Id, Section, SetId
from safety_regions.config.claims import Claims
from safety_regions.config.constrain import Constrain
from safety_regions.config.evaluate import Evaluate
from safety_regions.config.judge import Judge
from safety_regions.config.methods import Methods
from safety_regions.config.replicates import Controls, Replicates

Fraction = Annotated[float, Field(gt=0, le=1)]

SYNTHETIC_SAFETY = [
    "syn_build",
    "syn_steal",
    "syn_trick",
    "syn_enter",
    "syn_damage",
    "syn_forge",
    "syn_spy",
    "syn_threaten",
    "syn_hide",
    "syn_cheat",
]

COMPARING = ("replicates", "controls", "evaluate", "constrain")
"""Sections of a run that compare and test regions."""


class Registry(Section):
    """Files that say what each dataset and model id stands for; of two entries with one id, the later file's counts."""

    datasets: list[str] = ["config/datasets.yaml"]
    """Dataset registries, relative to the folder in which `snakemake` runs."""
    models: list[str] = ["config/models.yaml"]
    """Model registries."""


class Datasets(Section):
    """Which prompt sets are used, and how many prompts of each."""

    safety: list[SetId] = Field(default=SYNTHETIC_SAFETY, min_length=1)
    """Safety sets: a region is identified from each, and their regions are compared. A report takes two."""
    utility: list[SetId] = ["syn_chores", "syn_sums"]
    """Utility (harmless) sets, whose regions are taken out of the safety regions in refinement. Regions alone take
    none."""
    n_samples: int = Field(default=32, ge=1)
    """Prompts sampled from every set; equal for all, since region noise depends on it."""
    seed: int = Field(default=0, ge=0)
    """Seed of the order in which prompts are drawn."""
    offset: int = Field(default=0, ge=0)
    """Skip this many prompts of the seeded order: a disjoint second sample of the same sets."""
    deduplicate: Literal["none", "within", "across"] = "none"
    """`within`: drop prompts that repeat an earlier one of their set; `across`: also those of any set listed before."""
    near_duplicate: Fraction = 0.6
    """Word-set Jaccard similarity from which two prompts count as near duplicates: in tables, in `deduplicate`, and for
    the prompts of evaluation. Chinese characters, and neighbouring letters of other scripts without spaces, are words.
    """

    @model_validator(mode="after")
    def _each_once(self):
        ids = [*self.safety, *self.utility]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} listed more than once in safety and utility together")
        if "union" in ids:
            raise ValueError("utility: `union` stands for the union of all utility sets and cannot be a set's id")
        return self


class Responses(Section):
    """Which response follows each prompt when a region is identified: one policy for all sets."""

    policy: Literal["model", "dataset", "template"] = "model"
    """`model`: the model's own greedy answers; `dataset`: each set's own safe responses; `template`: one fixed
    refusal."""
    template: str = Field(default="I'm sorry, but I can't help with that.", min_length=1)
    """The response of the policy `template`."""
    max_new_tokens: int = Field(default=24, ge=1)
    """Length limit of the policy `model`; cut answers are counted in the receipt."""
    end_of_turn: bool = True
    """Whether the token that ends a response counts as one of its tokens, for the methods that read responses."""


class Thresholds(Section):
    """How large a share of the elements a region holds."""

    grid: list[Fraction] = Field(
        default=[0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.10, 0.20], min_length=1, max_length=15
    )
    """Fractions stored in every region, ascending; analysis at any of them costs no scoring."""
    scope: Literal["row", "matrix", "layer", "model"] = "matrix"
    """Within what the top fraction is taken: an output row, a weight matrix, all scored matrices of a layer, or of the
    model."""
    q: Fraction = 0.05
    """Fraction of the safety regions in the headline tables and figures; one of the grid."""
    p: Fraction = 0.05
    """Fraction of the utility regions that refinement removes; one of the grid."""

    @model_validator(mode="after")
    def _in_grid(self):
        if self.grid != sorted(set(self.grid)):
            raise ValueError(f"grid must ascend without repeats, found {self.grid}")
        for key in ("q", "p"):
            if getattr(self, key) not in self.grid:
                raise ValueError(f"{key} = {getattr(self, key)} is not in the grid {self.grid}")
        return self


class Overlap(Section):
    """How the growth of n-way overlap is sampled."""

    n_orders: int = Field(default=20, ge=1)
    """Orders of the safety sets over which n-way IoU is averaged as n grows."""
    seed: int = Field(default=0, ge=0)
    """Seed of these orders."""


class Machine(Section):
    """How jobs use this machine; profiles may set it. No part of any recipe: results do not depend on it but for
    rounding.

    Another `batch_tokens` rounds otherwise, and so does a GPU: at the cut of a region a few elements then differ, with
    float32 on a CPU hardly any (docs/determinism.md).
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: a GPU where torch sees one."""
    batch_tokens: int = Field(default=512, ge=1)
    """Padded tokens per batch in scoring; more is faster on a GPU and takes more memory."""
    layers: Literal["held", "streamed"] = "held"
    """`held`: jobs that measure or select hold all layers of a model; `streamed`: each is read from the model's files
    when its turn comes, and let go of behind it, for models that are larger than memory. Where a method has passes of
    its own, as safelayer has, the model is held for it all the same."""
    datasets_per_job: int = Field(default=100, ge=1)
    """Most artifacts, one for each dataset and method, that one job makes after loading its model once."""
    tables_per_job: int = Field(default=100, ge=1)
    """Most tables that one job makes, of overlaps (one for each method, and one across methods) or of evaluation (one
    for each method). Hours each for models of billions of weights."""
    trainings_per_job: int = Field(default=100, ge=1)
    """Most fine-tunings (one for each condition, learning rate and seed) that one job does; those of one condition
    stay together."""
    gpu_memory_gb: float | None = Field(default=None, gt=0)
    """Memory of one GPU of the cluster, in GB. With it, a job asks for as many GPUs as its model needs; null: for one,
    where a GPU is used."""
    gpus_per_node: int = Field(default=1, ge=1)
    """GPUs that one job may ask for: a larger model's layers are spread over them; one that needs more is refused
    before anything starts."""
    warm: bool = True
    """Whether one process imports what jobs on this machine import, and forks each of them: the same results in less
    time. Jobs on GPUs, on clusters and in containers start plainly."""
    recompute_published: bool = False
    """Compute again what was published but not pulled to this machine; otherwise such a run stops and says what to
    pull."""


class RunConfig(Section):
    """One run of the study."""

    name: Id = "demo"
    """Names the report folder, results/report/<name>."""
    goal: Literal["report", "refined", "regions"] = "report"
    """What the run makes. `regions`: a region file of every set, and nothing else; `refined`: of every safety set also
    the region without what the utility sets have at p, as a file of its own; `report`: all that compares and tests
    them."""
    registry: Registry = Registry()
    models: list[Id] = Field(default=["tiny-llama", "tiny-qwen2", "tiny-gemma2", "tiny-mistral"], min_length=1)
    """Models of the registry on which regions are identified."""
    datasets: Datasets = Datasets()
    responses: Responses = Responses()
    methods: Methods = Methods()
    thresholds: Thresholds = Thresholds()
    overlap: Overlap = Overlap()
    replicates: Replicates | None = Replicates()
    controls: Controls | None = Controls()
    evaluate: Evaluate | None = Evaluate()
    constrain: Constrain | None = Constrain()
    judge: Judge | None = SILENT
    claims: Claims = Claims()
    machine: Machine = Machine()

    @model_validator(mode="before")
    @classmethod
    def _only_what_leads_to_the_goal(cls, data: Any) -> Any:
        """Regions alone are neither compared nor tested, whatever the sections about that say."""
        if isinstance(data, Mapping) and data.get("goal") in ("refined", "regions"):
            return {**data, **dict.fromkeys(COMPARING)}
        return data

    @model_validator(mode="after")
    def _evaluated_sets_are_safety_sets(self):
        for name, section in (("evaluate", self.evaluate), ("constrain", self.constrain)):
            foreign = sorted(set(section.sets or []) - set(self.datasets.safety)) if section else []
            if foreign:
                raise ValueError(f"{name} has sets that datasets.safety has not: {', '.join(foreign)}")
        return self

    @model_validator(mode="after")
    def _parts_name_models_of_the_run(self):
        """A method that is named and not run is known by its name alone; a model that is not might be misspelt."""
        for name, section in (("evaluate", self.evaluate), ("constrain", self.constrain)):
            foreign = sorted(set(section.models or []) - set(self.models)) if section else []
            if foreign:
                raise ValueError(f"{name}.models has what this run has not in models: {', '.join(foreign)}")
        return self

    @model_validator(mode="after")
    def _fractions_are_in_the_grid(self):
        grid = self.thresholds.grid
        named = {"evaluate.doses": self.evaluate.doses} if self.evaluate else {}
        named |= {"constrain.only_at": self.constrain.only_at or []} if self.constrain else {}
        for key, fractions in named.items():
            if foreign := [fraction for fraction in fractions if fraction not in grid]:
                raise ValueError(f"{key}: {', '.join(map(str, foreign))} not in the grid {grid}")
        return self

    @model_validator(mode="after")
    def _parts_hold_something(self):
        if self.replicates and self.replicates.splits and self.datasets.n_samples < 2:
            raise ValueError("one prompt has no two halves: set replicates.splits to 0, or raise datasets.n_samples")
        sizes, n_samples = self.replicates.sizes if self.replicates else None, self.datasets.n_samples
        if sizes and sizes[-1] >= n_samples:
            raise ValueError(
                f"replicates.sizes: {sizes[-1]} prompts are not fewer than datasets.n_samples = {n_samples}"
            )
        return self

    @model_validator(mode="after")
    def _controlled_sets_are_this_runs(self):
        if self.controls:
            foreign = {*(self.controls.safety or [])} - {*self.datasets.safety}
            foreign |= {*filter(None, [self.controls.harmless])} - {*self.datasets.utility}
            if foreign:
                raise ValueError(f"controls has sets that datasets has not in that role: {', '.join(sorted(foreign))}")
        return self

    @model_validator(mode="after")
    def _models_once(self):
        twice = sorted({m for m in self.models if self.models.count(m) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} listed more than once in models")
        return self

    def enabled_methods(self) -> dict[str, Section]:
        """The methods that are not null, with their options, in the order of the schema."""
        return {name: options for name in Methods.model_fields if (options := getattr(self.methods, name)) is not None}
