"""What the jobs of a plan ask a machine for, and which of them no machine of the run's kind can do."""

import math
from dataclasses import dataclass
from functools import cached_property

from safety_regions.artifacts.artifact import Artifact
from safety_regions.cluster.duration import CPU, GPU, Device
from safety_regions.cluster.memory import GIB, Need, gpus_for, need_of, with_judge
from safety_regions.config.dimensions import ModelSize
from safety_regions.errors import UserError
from safety_regions.planning.model_size import size_of
from safety_regions.planning.plan import Plan

SMALL = Need(0, 1.1 * GIB, 120.0)
"""A job that neither loads a model nor reads its regions."""
SNAKEMAKE = 0.4 * GIB
"""At SLURM two snakemake processes run around a job, in the memory that it asked for."""


@dataclass(frozen=True)
class Job:
    """One job of a plan: the step, the artifacts it makes, and the model that it loads or whose regions it reads."""

    step: str
    model: str
    artifacts: list[Artifact]


class Asking:
    """Resources of jobs, by the sizes of their models and the machine's settings.

    Steps: respond, measure, select, evaluate, constrain, train (an adapter or a model), overlap.
    """

    def __init__(self, plan: Plan, gpu_seen: bool, cpu: Device = CPU):
        """`gpu_seen`: whether this machine has a GPU, for `machine.device: auto` without `gpu_memory_gb`; `cpu`: how
        fast a core is where there is none."""
        self.plan, self.machine = plan, plan.run.machine
        self.uses_gpus = (
            self.machine.device == "cuda"
            or self.machine.gpu_memory_gb is not None
            or (self.machine.device == "auto" and gpu_seen)
        )
        self.device = GPU if self.uses_gpus else cpu

    def need(self, step: str, artifacts: list[Artifact]) -> Need:
        """What a job needs that makes these artifacts; those of no model, or none at all, need little."""
        size = self.size(artifacts)
        if size is None or artifacts[0].recipe.step is None:
            return SMALL
        machine = self.machine
        streamed = machine.layers == "streamed"
        need = need_of(step, size, artifacts, batch_tokens=machine.batch_tokens, device=self.device, streamed=streamed)
        judge = artifacts[0].inputs.get("judge")
        if judge is None:
            return need
        return with_judge(need, self.plan.registries.models[judge.recipe.model].parameters)

    def size(self, artifacts: list[Artifact]) -> ModelSize | None:
        """The size of the model that these artifacts are made with; None if there is none."""
        folder = model_of(artifacts[0]) if artifacts else None
        return size_of(folder.recipe.model, folder, self.plan.registries) if folder else None

    def gpus(self, step: str, artifacts: list[Artifact]) -> int:
        """GPUs that the job asks for."""
        need, memory = self.need(step, artifacts), self.machine.gpu_memory_gb
        if not need.gpu_bytes:
            return 0
        return gpus_for(need, memory) if memory else 1

    def mem_mib(self, step: str, artifacts: list[Artifact], attempt: int = 1) -> int:
        """Memory of the host, more at each attempt."""
        return attempt * math.ceil((self.need(step, artifacts).host_bytes + SNAKEMAKE) / 2**20)

    def minutes(self, step: str, artifacts: list[Artifact], attempt: int = 1) -> int:
        """Time limit, more at each attempt: the estimate and more, since a job that is cut off costs more than one that
        starts late; most on GPUs, on which nothing was measured."""
        need = self.need(step, artifacts)
        return attempt * (10 + math.ceil((3 if need.gpu_bytes else 2) * need.seconds / 60))

    @cached_property
    def jobs(self) -> list[Job]:
        """The jobs of this run that work with a model or its regions and are not done yet."""
        made = [self.plan.to_make(batch) for batch in self.plan.batches.values()]
        alone = [
            a for a in self.plan.missing.values() if a.key in self.plan.wanted and a.path not in self.plan.batch_of
        ]
        made += [[a] for a in sorted(alone, key=lambda a: a.path)]
        jobs = ((of[0].recipe.step, model_of(of[0]), of) for of in made if of)
        return [Job(step, model.recipe.model, of) for step, model, of in jobs if step and model]

    def refuse_unknown_machines(self) -> None:
        """Raise `UserError` for a run on a cluster that has not been told what its machines are.

        Guessed from the machine on which snakemake runs, a login node without GPUs, jobs would ask for none.
        """
        if self.machine.device != "cpu" and self.machine.gpu_memory_gb is None and self.jobs:
            raise UserError(
                "jobs go to a cluster, and nothing says what its machines are",
                where="machine.device and machine.gpu_memory_gb",
                expected="`config: machine:` in the profile, as profiles/slurm/config.yaml has it",
                hint="--config 'machine={device: cuda, gpu_memory_gb: 80, gpus_per_node: 4}', or"
                " --config 'machine={device: cpu}' where there are no GPUs",
            )

    def refuse_what_does_not_fit(self) -> None:
        """Raise `UserError` for models that need more GPUs than a node has, with the numbers."""
        memory, most = self.machine.gpu_memory_gb, self.machine.gpus_per_node
        if not memory:
            return
        too_large = []
        for job in self.jobs:
            need = self.need(job.step, job.artifacts)
            if (wanted := gpus_for(need, memory)) > most:
                too_large.append(f"{job.model}, {job.step}: {need.gpu_bytes / 1e9:.0f} GB, {wanted} GPUs")
        if too_large:
            raise UserError(
                "models that do not fit: " + "; ".join(dict.fromkeys(too_large)),
                where="machine.gpu_memory_gb and machine.gpus_per_node",
                expected=f"at most {most} GPU{'s' if most > 1 else ''} of {memory:g} GB",
                hint="name a node with more, give the model dtype:"
                " bfloat16, lower machine.batch_tokens, or leave it out",
            )


def model_of(artifact: Artifact) -> Artifact | None:
    """The prepared model that an artifact is made with, or that its regions are of; None if there is none."""
    if artifact.kind == "model":
        return artifact
    region = next((a for a in artifact.inputs.values() if a.kind == "region"), artifact)
    return artifact.inputs.get("model") or region.inputs.get("model")
