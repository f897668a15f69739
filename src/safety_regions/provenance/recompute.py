"""Make one artifact again, in a folder of its own, and compare its bytes with those that its receipt states."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.receipts import RECEIPT, RUN
from safety_regions.config.run import Machine
from safety_regions.errors import UserError
from safety_regions.files import canonical_json, write_text
from safety_regions.planning.environment import JOB, OFFLINE
from safety_regions.planning.plan import Plan

LEAST_DIGITS = 4
OTHER_RUN = "an artifact of another run needs the --configfile of that run"
Words = list[str]
Places = dict[str, str]


@dataclass(frozen=True)
class Job:
    """What a script is told beside the recipe."""

    output: Path
    paths: Places
    """Of the inputs, by role."""
    machine: Machine


Maker = Callable[[Artifact, Job], Words]


@dataclass(frozen=True)
class Again:
    """An artifact as it was published and as it came out again."""

    artifact: Artifact
    path: Path
    """Where the new one lies."""
    published: dict[str, str]
    """sha256 by file, as the receipt has it."""
    made: dict[str, str]
    seconds: float
    inputs: Places
    """Where those lay from which it was made, by role."""

    @property
    def different(self) -> list[str]:
        """Files that are not the same, or only in one of the two."""
        return sorted(name for name in {*self.published, *self.made} if self.published.get(name) != self.made.get(name))


def recompute(plan: Plan, artifact: Artifact, folder: Path, places: Places | None = None) -> Again:
    """Make an artifact again inside `folder`, by the script that the Snakefile calls, from the inputs that are in
    place.

    `places`: where inputs lie instead, by role. Raises `UserError` for a kind that is not made again this way, without
    a receipt to compare with, for inputs that are not here, and if the script fails.
    """
    published = _published(plan, artifact)
    paths = {role: source.path for role, source in artifact.inputs.items()} | (places or {})
    path = folder / Path(artifact.path).name
    command = _command(artifact, Job(path, paths, plan.run.machine))
    _refuse_missing(plan, [source for role, source in artifact.inputs.items() if role not in (places or {})])
    began = time.monotonic()
    done = subprocess.run([sys.executable, *command], env=os.environ | JOB | OFFLINE, check=False)
    if done.returncode:
        raise UserError(
            f"scripts/{Path(command[0]).name} ended with exit code {done.returncode}; what it said stands above",
            where=artifact.path,
        )
    made = receipts.check(path, artifact.digest).files
    return Again(artifact, path, published, made, time.monotonic() - began, paths)


def recompute_all(plan: Plan, artifact: Artifact, folder: Path, measure: bool) -> list[Again]:
    """The artifact made again; with `measure` the statistic that a region follows from too, and the region from the new
    one.
    """
    statistics = artifact.inputs.get("statistics") if measure else None
    if statistics is None:
        return [recompute(plan, artifact, folder / "again")]
    first = recompute(plan, statistics, folder / "statistics")
    return [first, recompute(plan, artifact, folder / "again", {"statistics": str(first.path)})]


def find(plan: Plan, name: str) -> Artifact:
    """The artifact of a plan by its path, that of a file in it or beside it, or by the first digits of its digest.

    Raises `UserError` if there is none, or more than one.
    """
    path = Path(name)
    path = path.resolve().relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
    trimmed = str(path).removesuffix(RECEIPT).removesuffix(RUN).removesuffix(".dvc")
    inside = {trimmed, *map(str, Path(trimmed).parents)}
    digits = name if len(name) >= LEAST_DIGITS else None
    found = [a for a in plan.made.values() if a.path in inside or (digits and a.digest.startswith(digits))]
    if not found:
        raise UserError(
            "no artifact of this run's plan",
            where=name,
            expected="a path below results/, or the first digits of a digest",
            hint=OTHER_RUN if Path(trimmed + RECEIPT).is_file() else _nearest(plan, name) or OTHER_RUN,
        )
    if len(found) > 1:
        raise UserError(
            f"{len(found)} artifacts begin with these digits", where=name, expected=", ".join(a.path for a in found)
        )
    return found[0]


def _nearest(plan: Plan, name: str) -> str:
    near = get_close_matches(name, [artifact.path for artifact in plan.made.values()], n=1)
    return f"did you mean {near[0]}?" if near else ""


def _published(plan: Plan, artifact: Artifact) -> dict[str, str]:
    if not Path(artifact.receipt).is_file():
        raise UserError(
            "never made: there is no receipt to compare with",
            where=artifact.receipt,
            hint=f"pull the receipts with git, or make it: {plan.named.snakemake(*_targets(plan, [artifact]))}",
        )
    receipt = receipts.read(artifact.path)
    if receipt.digest != artifact.digest:
        raise UserError(
            f"made by recipe {receipt.digest[:12]}", where=artifact.receipt, expected=f"recipe {artifact.digest[:12]}"
        )
    return receipt.files


def _refuse_missing(plan: Plan, inputs: list[Artifact]) -> None:
    missing = list({source.path: source for source in inputs if not source.exists()}.values())
    if not missing:
        return
    elsewhere = [source.path for source in missing if source.is_elsewhere()]
    never_made = [source for source in missing if not source.is_elsewhere()]
    hints = [f"{shlex.join(['safety-regions', 'pull', *elsewhere])} brings those published"] if elsewhere else []
    if never_made:
        hints.append(f"{plan.named.snakemake(*_targets(plan, never_made))} makes what never was")
    raise UserError(
        f"{len(missing)} of its inputs are not here",
        where=", ".join(source.path for source in missing),
        hint="; ".join(hints),
    )


def _targets(plan: Plan, artifacts: list[Artifact]) -> list[str]:
    """What to ask snakemake for so that it makes these."""
    batches = [plan.batch_of.get(artifact.path) for artifact in artifacts]
    targets = [batch.manifest if batch else a.outputs[0] for batch, a in zip(batches, artifacts, strict=True)]
    return list(dict.fromkeys(targets))


def _command(artifact: Artifact, job: Job) -> Words:
    if artifact.kind not in MAKERS:
        raise UserError(
            f"artifacts of kind {artifact.kind} are not made again this way",
            where=artifact.path,
            expected=f"one of {', '.join(MAKERS)}",
            hint="delete it with its receipt in a copy of the repository, and run snakemake there",
        )
    return MAKERS[artifact.kind](artifact, job)


def _batched(script: str, *options: str) -> Maker:
    """The command of a batched job with this artifact as its only entry; `options`: what it is told of the machine."""

    def command(artifact: Artifact, job: Job) -> Words:
        entries = [{"path": str(job.output), "recipe": artifact.recipe.as_json(), "inputs": job.paths}]
        file = job.output.with_name("job.json")
        write_text(file, canonical_json({"entries": entries}))
        machine = [
            word for option in options for word in (f"--{option.replace('_', '-')}", str(getattr(job.machine, option)))
        ]
        return [f"scripts/{script}", "--job", f"@{file}", "--manifest", str(file.with_name("manifest.json")), *machine]

    return command


def _region(artifact: Artifact, job: Job) -> Words:
    selected = artifact.recipe.is_selected
    return (_batched("select_regions.py", "layers") if selected else _batched("measure.py", *SCORING))(artifact, job)


SCORING = ("device", "batch_tokens", "layers")
MAKERS: dict[str, Maker] = {
    "region": _region,
    "statistics": _batched("measure.py", *SCORING),
    "pairs": _batched("respond.py", "device"),
    "evaluate": _batched("evaluate.py", "device"),
    "constrain": _batched("constrain.py", "device"),
    "refined": _batched("refine_regions.py"),
    "overlap": _batched("overlap.py"),
    "across": _batched("overlap.py"),
    "replicates": _batched("overlap.py"),
    "alignment": _batched("overlap.py"),
    "figures": _batched("draw_figures.py"),
    "layer_curves": _batched("draw_figures.py"),
}
"""By kind: the command that makes an artifact, the same as in the Snakefile."""
