"""What logs, locks, processes and SLURM say of the run in this folder."""

import platform
from dataclasses import dataclass
from pathlib import Path

from safety_regions.cluster.slurm_jobs import ClusterJob, jobs_at_work
from safety_regions.cluster.snakemake_log import LoggedJob, LoggedRun, latest_runs
from safety_regions.errors import UserError


@dataclass(frozen=True)
class Seen:
    """What was found of the run in this folder."""

    run: LoggedRun | None
    """The latest start that came as far as its jobs."""
    stopped: LoggedRun | None
    """A later one that did not."""
    alive: bool
    """Whether a snakemake is at work in this folder, on this machine."""
    locked: bool
    at_slurm: list[ClusterJob]
    slurm_error: str = ""
    """Why SLURM could not be asked."""

    @property
    def started(self) -> list[LoggedJob]:
        """Jobs that the latest start has begun and not seen to end."""
        return [job for job in self.run.jobs.values() if job.state == "started"] if self.run else []

    @property
    def failed(self) -> list[LoggedJob]:
        """Jobs of the latest start that failed for good and were not made up for since."""
        jobs = self.run.jobs.values() if self.run else []
        return [
            job
            for job in jobs
            if job.state == "failed" and not (job.outputs and all(Path(p).exists() for p in job.outputs))
        ]

    @property
    def lost(self) -> bool:
        """Whether the latest start was killed. One on another machine may well be at work."""
        return bool(self.run and not self.run.over and not self.alive and self.run.host == platform.node())

    @property
    def has_failed(self) -> bool:
        """Whether anything is amiss: a job, a start, or a snakemake that was killed."""
        return bool(self.failed or self.stopped or self.lost)


def look() -> Seen:
    """What logs, locks, processes and SLURM say of the folder in which this runs."""
    try:
        at_slurm, error = sorted(jobs_at_work(), key=lambda job: (len(job.id), job.id)), ""
    except UserError as trouble:
        at_slurm, error = [], trouble.found
    # Before the logs are read, so that one that ends meanwhile is seen to end; and after it, for one that starts
    # meanwhile.
    alive = snakemake_here()
    run, stopped = latest_runs()
    locked = any(Path(".snakemake/locks").glob("*.lock"))
    return Seen(run, stopped, alive or snakemake_here(), locked, at_slurm, error)


def snakemake_here() -> bool:
    """Whether a snakemake that runs a whole workflow is at work in this folder, on this machine."""
    here = Path.cwd().resolve()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            # Those that run a single job, for SLURM or for a parent, are told by their mode.
            started = any(Path(word.decode(errors="replace")).name == "snakemake" for word in words[:3])
            if started and b"--mode" not in words and (process / "cwd").readlink() == here:
                return True
        except OSError:
            continue
    return False
