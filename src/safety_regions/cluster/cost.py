"""What a run will cost before anything is submitted: hours, GPUs, memory and disk, by model."""

from collections.abc import Iterator
from dataclasses import dataclass

from safety_regions.artifacts.artifact import Artifact
from safety_regions.cluster.duration import has_a_pass_of_its_own
from safety_regions.cluster.memory import Bytes
from safety_regions.cluster.resources import Asking, Job
from safety_regions.config.dimensions import ModelSize
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.errors import UserError
from safety_regions.planning.placeholders import placeholder_warning
from safety_regions.planning.recipes.models import training_options
from safety_regions.text import readable_size

STEPS = ("train", "respond", "measure", "select", "refine", "evaluate", "constrain", "overlap")
BITS = {"weight": 1.5, "adapter": 2.0}
"""Of a stored region on each of its weights, over the whole grid; measured 1.3 to 1.5, and 1.9. Others are small."""


@dataclass(frozen=True)
class Cost:
    """What is still to be done for one model, estimated from above."""

    model: str
    size: ModelSize
    jobs: int
    artifacts: int
    hours: dict[str, float]
    """Wall time by step, all jobs one after the other."""
    gpu_hours: float
    gpus: int
    """Of the job that asks for most; so are the next three."""
    gpu_gb: float
    host_gb: float
    limit_hours: float
    """What SLURM is asked for at the first attempt."""


def costs(asking: Asking) -> list[Cost]:
    """One for each model that work is left for, in the order of the plan."""
    by_model: dict[str, list[Job]] = {}
    for job in asking.jobs:
        by_model.setdefault(job.model, []).append(job)
    return [_cost(asking, model, jobs) for model, jobs in by_model.items()]


def _cost(asking: Asking, model: str, jobs: list[Job]) -> Cost:
    needs = [asking.need(job.step, job.artifacts) for job in jobs]
    gpus = [asking.gpus(job.step, job.artifacts) for job in jobs]
    hours = dict.fromkeys(STEPS, 0.0)
    for job, need in zip(jobs, needs, strict=True):
        hours[job.step] += need.seconds / 3600
    return Cost(
        model,
        _size(asking, jobs[0].artifacts[0]),
        jobs=len(jobs),
        artifacts=sum(len(job.artifacts) for job in jobs),
        hours=hours,
        gpu_hours=sum(n * need.seconds / 3600 for n, need in zip(gpus, needs, strict=True)),
        gpus=max(gpus),
        gpu_gb=max(need.gpu_bytes for need in needs) / 1e9,
        host_gb=max(need.host_bytes for need in needs) / 1e9,
        limit_hours=max(asking.minutes(job.step, job.artifacts) for job in jobs) / 60,
    )


def _size(asking: Asking, artifact: Artifact) -> ModelSize:
    size = asking.size([artifact])
    assert size is not None
    return size


def disk_bytes(asking: Asking) -> dict[str, float]:
    """Bytes that the artifacts still to be made will take, by kind; `models`: with what the Hub's cache will hold."""
    sums = {"models": 0.0, "regions": 0.0, "statistics": 0.0}
    kinds = {"model": "models", "region": "regions", "refined": "regions", "statistics": "statistics"}
    for artifact in asking.plan.missing.values():
        if artifact.key in asking.plan.wanted and artifact.kind in kinds:
            sums[kinds[artifact.kind]] += bytes_of(artifact, _size(asking, artifact))
    return sums


def bytes_of(artifact: Artifact, size: ModelSize) -> Bytes:
    """Bytes on disk of a prepared model, a region, refined or not, or a statistic, from above."""
    if artifact.kind == "model":
        return size.weight_bytes
    if artifact.kind == "refined":
        return bytes_of(artifact.inputs["region"], size)
    info = CATALOGUE[artifact.recipe.method]
    if artifact.kind == "region":
        weights = size.scored if info.granularity == "weight" else _adapter_weights(artifact, size)
        return BITS[info.granularity] / 8 * weights if info.granularity in BITS else 2000 * size.layers
    n_samples = artifact.inputs["pairs"].inputs["prompts"].recipe.n_samples
    return info.statistic_bytes(size, n_samples, _rank(artifact))


def _adapter_weights(made: Artifact, size: ModelSize) -> int:
    """A and B of seven matrices of each layer, from above: some architectures have no gate."""
    return size.layers * _rank(made) * (9 * size.hidden + 2 * size.keys + 3 * size.intermediate)


def _rank(made: Artifact) -> int:
    return training_options(made.inputs["adapter"].recipe).get("rank", 0) if "adapter" in made.inputs else 0


def lines(asking: Asking) -> Iterator[str]:
    """The estimate for people."""
    found = costs(asking)
    if found:
        yield from _table(found, asking.uses_gpus)
    jobs, artifacts = sum(cost.jobs for cost in found), sum(cost.artifacts for cost in found)
    in_place = sum(made.exists() for made in asking.plan.made.values())
    yield (
        f"{jobs} jobs with a model or its regions are left, for {artifacts} artifacts;"
        f" {in_place} artifacts of this run are in place."
    )
    disk = disk_bytes(asking)
    kinds = ", ".join(f"{kind} {readable_size(size)}" for kind, size in disk.items())
    yield f"Disk: {readable_size(sum(disk.values()))} more: {kinds}"
    if placeholders := placeholder_warning(asking.plan):
        yield f"warning: {placeholders}"
    if to_pull := asking.plan.to_pull:
        pull = asking.plan.named.ours("pull")
        yield f"Not counted: {len(to_pull)} artifacts that were published; `{pull}` brings them."
    if whole := _held_all_the_same(asking):
        yield f"Layers are streamed, but held where {', '.join(whole)} is measured: it has passes of its own."
    if guessed := [cost.model for cost in found if not cost.size.known]:
        yield (
            f"Taken for 8 billion parameters, since nothing is known of them: {', '.join(guessed)}."
            f" `parameters:` in the model registry tells, or `{asking.plan.named.snakemake('prefetch')}`."
        )
    try:
        asking.refuse_what_does_not_fit()
    except UserError as error:
        yield f"snakemake would refuse this run: {error}"


def _held_all_the_same(asking: Asking) -> list[str]:
    """Methods for which a model is held whatever `machine.layers` says."""
    if asking.machine.layers == "held":
        return []
    measured = [made for job in asking.jobs if job.step == "measure" for made in job.artifacts]
    return sorted({made.recipe.method for made in measured if has_a_pass_of_its_own(made)})


def _table(found: list[Cost], gpus: bool) -> Iterator[str]:
    """A row for each model and one for all: hours by step and in sum, then the largest of each model's jobs."""
    where, most = ("", "GPUs, memory") if gpus else (" on one CPU core", "memory")
    yield (
        f"Hours by step{where}, one job after the other; {most} and time limit of the largest job."
        " All estimated from above."
    )
    steps = [step for step in STEPS if any(cost.hours[step] for cost in found)]
    heads = [*steps, "all", *(["GPU hours", "GPUs", "GPU GB"] if gpus else []), "host GB", "limit h"]
    rows = [(cost.model, cost.size.readable, _cells(steps, [cost], gpus)) for cost in found]
    rows.append((f"{len(found)} models", "", _cells(steps, found, gpus)))
    names = max(len(name) for name, _, _ in rows)
    for name, size, cells in [("", "", heads), *rows]:
        yield f"{name:{names}} {size:>7}" + "".join(
            f"{cell:>{max(len(head), 5) + 2}}" for cell, head in zip(cells, heads, strict=True)
        )


def _cells(steps: list[str], of: list[Cost], gpus: bool) -> list[str]:
    hours = [sum(cost.hours[step] for cost in of) for step in steps]
    cells = [f"{n:.1f}" for n in [*hours, sum(hours)]]
    if gpus:
        cells += [
            f"{sum(cost.gpu_hours for cost in of):.1f}",
            str(max(cost.gpus for cost in of)),
            f"{max(cost.gpu_gb for cost in of):.0f}",
        ]
    return [*cells, f"{max(cost.host_gb for cost in of):.0f}", f"{max(cost.limit_hours for cost in of):.1f}"]
