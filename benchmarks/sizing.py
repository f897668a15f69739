"""Compare what jobs were estimated to need with what they needed, by the run facts of a finished run.

    python benchmarks/sizing.py results

One row per job: the peak memory of its process and its time, beside what `safety_regions.cluster` estimates. Ratios
below 1 are estimates that were too low. On a CPU the time is CPU time, since jobs that share cores wait for each other;
on a GPU the memory is that of its tensors.
"""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.receipts import RECEIPT, RUN, recipe_digest
from safety_regions.artifacts.recipe import Recipe
from safety_regions.cluster.duration import GPU, Device, core_of
from safety_regions.cluster.memory import need_of
from safety_regions.cluster.resources import model_of
from safety_regions.errors import run_main
from safety_regions.models.core_speed import core_speed
from safety_regions.planning.model_size import size_from_config
from safety_regions.planning.recipes.parse import parse_recipe

DIGEST = re.compile("[0-9a-f]{64}")
HEAD = (
    f"{'step':9} {'methods':34} {'model':22} {'made':>4} {'MiB':>7} {'estimate':>8} {'ratio':>6} {'s':>7}"
    f" {'estimate':>8} {'ratio':>6}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the results/ folder of a finished run")
    parser.add_argument(
        "--batch-tokens", type=int, default=512, help="machine.batch_tokens of that run (default %(default)s)"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where it ran (default %(default)s)")
    arguments = parser.parse_args()
    device = (
        GPU
        if arguments.device == "cuda"
        else core_of({dtype.itemsize: core_speed(dtype) for dtype in (torch.float32, torch.bfloat16)})
    )
    if device.kind == "cpu":
        print("one core:", ", ".join(f"{device.speed[width] / 1e9:.0f} GFLOPS in {8 * width} bits" for width in (4, 2)))
    print(HEAD)
    for job in jobs_of(arguments.results):
        print(compare(job, arguments.batch_tokens, device))


@dataclass(frozen=True)
class Job:
    """What one process made of one model."""

    step: str
    model: Artifact
    config: dict
    """The model's."""
    artifacts: list[Artifact]
    runs: list[dict]
    """Their run facts; each counts from the start of the process."""


def compare(job: Job, batch_tokens: int, device: Device) -> str:
    """One row of the table."""
    size = size_from_config(job.config, job.model.recipe.dtype)
    need = need_of(job.step, size, job.artifacts, batch_tokens=batch_tokens, device=device)
    on_gpu = device.kind == "cuda" and need.gpu_bytes > 0
    keys = ("gpu_peak_memory_mib", "wall_seconds") if on_gpu else ("peak_memory_mib", "cpu_seconds")
    mib, seconds = (max(run[key] for run in job.runs) for key in keys)
    estimate = (need.gpu_bytes if on_gpu else need.host_bytes) / 2**20
    methods = " ".join(sorted({a.recipe.method for a in job.artifacts if hasattr(a.recipe, "method")}))
    of = f"{job.step:9} {methods:34} {job.model.recipe.model:22} {len(job.artifacts):4}"
    memory = f"{mib:7} {estimate:8.0f} {estimate / mib:6.2f}"
    return f"{of} {memory} {seconds:7.0f} {need.seconds:8.0f} {need.seconds / seconds:6.2f}"


def jobs_of(results: Path) -> Iterator[Job]:
    """The jobs that a run's artifacts come from: what one process made."""
    paths = {recipe_digest(recipe): (path, recipe) for path, recipe in _recipes(results)}
    artifacts: dict[str, Artifact] = {}
    jobs: dict[tuple, Job] = {}
    for digest, (path, _) in sorted(paths.items(), key=lambda item: str(item[1][0])):
        artifact = _artifact(digest, paths, artifacts)
        step, model = artifact.recipe.step, model_of(artifact)
        facts = path.with_name(path.name + RUN)
        if step and model and facts.is_file():
            run = json.loads(facts.read_text(encoding="utf-8"))
            config = json.loads((paths[model.digest][0] / "config.json").read_text(encoding="utf-8"))
            key = (step, model.key, run.get("process", f"{run['host']} {run['started']}"))
            job = jobs.setdefault(key, Job(step, model, config, [], []))
            job.artifacts.append(artifact)
            job.runs.append(run)
    yield from (jobs[key] for key in sorted(jobs))


def _recipes(results: Path) -> Iterator[tuple[Path, dict]]:
    for receipt in results.rglob(f"*{RECEIPT}"):
        yield (
            receipt.with_name(receipt.name.removesuffix(RECEIPT)),
            json.loads(receipt.read_text(encoding="utf-8"))["recipe"],
        )


def _artifact(digest: str, paths: dict[str, tuple[Path, dict]], known: dict[str, Artifact]) -> Artifact:
    """The artifact of a recipe, with those of its inputs that are in the results."""
    if digest not in known:
        path, content = paths[digest]
        recipe: Recipe = parse_recipe(content, str(path))
        inputs = {role: _artifact(of, paths, known) for role, of in recipe.inputs.items() if of in paths}
        known[digest] = Artifact(recipe, path.name, inputs)
    return known[digest]


if __name__ == "__main__":
    run_main(main)
