"""How a run is getting on, for people: what of its plan is in place, and what its latest snakemake and SLURM are at."""

import platform
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.kinds import KINDS
from safety_regions.cluster.failures import end_of, reason, tail
from safety_regions.cluster.resources import model_of
from safety_regions.cluster.run_state import Seen
from safety_regions.cluster.slurm_jobs import ClusterJob
from safety_regions.cluster.snakemake_log import LoggedJob, LoggedRun
from safety_regions.planning.plan import Plan
from safety_regions.planning.run_words import RunWords

KEY_DIGITS = 12


def lines(plan: Plan, seen: Seen) -> Iterator[str]:
    """All that is known, for people."""
    yield from progress_table(plan)
    if plan.to_pull:
        yield (
            f"{len(plan.to_pull)} artifacts that this run needs were published and are not here:"
            f" `{plan.named.ours('pull')}` brings them."
        )
    yield ""
    yield from _latest(seen)
    yield from _of_another(plan, seen)
    yield from _at_work(seen)
    yield from failures(seen)
    yield from _advice(seen)


def failures(seen: Seen) -> Iterator[str]:
    """The jobs that failed, why, and how their logs end."""
    if seen.failed:
        yield f"Failed ({len(seen.failed)}):"
    for job in seen.failed:
        attempts = f" ({job.attempts} attempts)" if job.attempts > 1 else ""
        yield f"  {job.what}{f' [SLURM {job.slurm_id}]' if job.slurm_id else ''}{attempts}: {reason(job)}"
        yield from (f"    {line}" for line in tail(job))


def progress_table(plan: Plan) -> Iterator[str]:
    """How many artifacts are in place of those that are or are still to be, by model and kind."""
    in_place = {key: made.exists() for key, made in plan.made.items()}
    counts: dict[str, dict[str, list[int]]] = {}
    for key, made in plan.made.items():
        # What is neither here nor needed any more is left out.
        if in_place[key] or key in plan.missing:
            cell = counts.setdefault(_owner(made), {}).setdefault(made.kind, [0, 0])
            cell[0] += in_place[key]
            cell[1] += 1
    shared = counts.pop("", {})
    kinds = [kind for kind in KINDS if any(kind in row for row in counts.values())]
    names = max((len(name) for name in counts), default=0)
    yield "In place: " + ", ".join(f"{kind} {_cell(shared[kind])}" for kind in KINDS if kind in shared)
    rows = {name: [_cell(row.get(kind)) for kind in kinds] for name, row in counts.items()}
    for name, cells in {"": kinds, **rows}.items():
        yield f"  {name:{names}}" + "".join(
            f"{cell:>{max(len(kind), 7) + 2}}" for cell, kind in zip(cells, kinds, strict=True)
        )


def _owner(made: Artifact) -> str:
    """The name of the model that an artifact is about; empty if it is about none or all."""
    model = model_of(made.inputs["overlap"] if made.kind == "figures" else made)
    return model.recipe.model if model else ""


def _cell(counts: list[int] | None) -> str:
    return f"{counts[0]}/{counts[1]}" if counts else "-"


def _latest(seen: Seen) -> Iterator[str]:
    """When snakemake was started last, and what became of it."""
    run = seen.run
    if run is None:
        yield "snakemake is at work; its log says no more yet." if seen.alive else "No run was started here yet."
    else:
        yield f"Started {run.date} on {run.host}: {run.command}"
        done = f"{run.done} of {run.total} jobs done" if run.total else "nothing was to be done"
        yield f"  {_fate(seen, run)}; {done}."
    if seen.stopped:
        yield f"A later start ({seen.stopped.path.name[:17]}) stopped before any job:"
        yield from (f"  {line}" for line in seen.stopped.error.splitlines()[:8])


def _of_another(plan: Plan, seen: Seen) -> Iterator[str]:
    """That the latest start was of another configuration than the one that is asked about."""
    try:
        same = seen.run is None or RunWords.of_command(seen.run.command).names_as(plan.named)
    except ValueError:
        return
    if not same:
        yield "  This is another run than the one counted above: all from here on is of it."


def _fate(seen: Seen, run: LoggedRun) -> str:
    if run.over:
        failed = any(job.state == "failed" for job in run.jobs.values())
        return "It ended with failures" if failed else "It was stopped" if seen.started else "It ended"
    if seen.alive:
        return "It is at work"
    return "It was killed" if seen.lost else f"It has not ended; whether it is at work, only {run.host} can tell"


def _at_work(seen: Seen) -> Iterator[str]:
    """Jobs that run, those that wait at SLURM, and the number of the others."""
    at_slurm = {job.id: job for job in seen.at_slurm}
    logged = {job.slurm_id: job for job in seen.run.jobs.values() if job.slurm_id} if seen.run else {}
    running = [_running(job, logged.get(job.id)) for job in seen.at_slurm if job.state != "PENDING"]
    local = [job for job in seen.started if seen.alive and not job.slurm_id]
    running += [[f"{job.what}, for {_elapsed(job.since)}", *_last_line(job.output)] for job in local]
    submitted = [
        f"{job.what} [SLURM {job.slurm_id}]: submitted"
        for job in seen.started
        if seen.alive and job.slurm_id and job.slurm_id not in at_slurm
    ]
    waiting = [
        f"{_name(job, logged.get(job.id))}: waits for {job.reason}" for job in seen.at_slurm if job.state == "PENDING"
    ]
    yield from _list("Running", running)
    yield from _list("Waiting at SLURM", [[line] for line in waiting + submitted])
    if seen.alive and seen.run and seen.run.total:
        begun = len(running) + len(waiting) + len(submitted)
        yield f"Not started: {max(0, seen.run.total - seen.run.done - begun - len(seen.failed))} jobs."


def _list(title: str, entries: list[list[str]]) -> Iterator[str]:
    if entries:
        yield f"{title} ({len(entries)}):"
    for first, *more in entries:
        yield f"  {first}"
        yield from (f"    {line}" for line in more)


def _running(job: ClusterJob, logged: LoggedJob | None) -> list[str]:
    where = f" on {job.node}" if job.node else ""
    return [
        f"{_name(job, logged)}: {job.state.lower()}{where}, for {job.elapsed}",
        *_last_line(logged.output if logged else job.what),
    ]


def _name(job: ClusterJob, logged: LoggedJob | None) -> str:
    return f"{logged.what if logged else job.what} [SLURM {job.id}]"


def _last_line(what: str) -> list[str]:
    """The last line of the newest of our logs that is about an output path, or about a job by its comment."""
    keys = [
        part
        for part in what.replace("_", ".").split(".")
        if len(part) == KEY_DIGITS and not set(part) - set("0123456789abcdef")
    ]
    logs = [log for key in keys for log in Path("logs").glob(f"*/*{key}*.log")]
    text = end_of(max(logs, key=lambda log: log.stat().st_mtime)) if logs else ""
    return [line.strip()[:120] for line in text.splitlines() if line.strip()][-1:]


def _elapsed(since: datetime | None) -> str:
    return str(datetime.now().replace(microsecond=0) - since) if since else "an unknown time"


def _advice(seen: Seen) -> Iterator[str]:
    """What to do about jobs that nobody waits for, locks that nobody holds, and a SLURM that does not answer."""
    if seen.slurm_error and seen.run and any(job.slurm_id for job in seen.run.jobs.values()):
        yield seen.slurm_error.splitlines()[0]
    # A snakemake on another machine may be the one that waits for them.
    elsewhere = bool(seen.run and seen.run.host != platform.node() and not seen.run.over)
    if seen.alive or elsewhere:
        return
    again = "start it again as before; what was finished is kept."
    if seen.locked:
        again = f"`snakemake --unlock`, and {again}"
    if seen.at_slurm:
        ids = " ".join(job.id for job in seen.at_slurm)
        yield f"No snakemake waits for the jobs at SLURM. Let them end, or end them: scancel {ids}"
        yield f"Then {again}"
    elif seen.locked or seen.lost:
        yield f"No snakemake is at work here: {again}"
