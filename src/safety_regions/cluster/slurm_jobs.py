"""Jobs at SLURM whose snakemake is gone, and whether SLURM keeps the accounts that a restart of it needs."""

import getpass
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from safety_regions.errors import UserError

PREFIX = "safety-regions"
"""With which the names of jobs begin: `slurm-jobname-prefix` of profiles/slurm."""
PATIENCE = 20
"""Seconds after which a command of SLURM is taken to hang."""


@dataclass(frozen=True)
class ClusterJob:
    """A job of this folder that SLURM still knows."""

    id: str
    state: str
    what: str
    """The rule and the wildcards, as the executor wrote them into the comment."""
    elapsed: str = ""
    """Time that it has run: [days-]hours:minutes:seconds, without leading zeros."""
    node: str = ""
    reason: str = ""
    """Why it waits, in SLURM's words."""


def jobs_at_work(folder: Path | None = None) -> list[ClusterJob]:
    """This user's jobs, waiting or running, that a snakemake started in `folder` (default: here).

    None where there is no SLURM.
    """
    if shutil.which("squeue") is None:
        return []
    here = str((folder or Path.cwd()).resolve())
    text = _ask("squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%i|%T|%j|%Z|%M|%N|%r|%k")
    rows = (line.split("|", 7) for line in text.splitlines() if line.count("|") >= 7)
    return [
        ClusterJob(i, state, what, *more)
        for i, state, name, place, *more, what in rows
        if name.startswith(f"{PREFIX}_") and place == here
    ]


def refuse_without_slurm() -> None:
    """Raise `UserError` where jobs cannot be submitted, before the steps that run here have taken their minutes."""
    if shutil.which("sbatch") is None:
        raise UserError(
            "jobs are to go to SLURM, and its command sbatch is not on this machine",
            where="executor: slurm",
            expected="snakemake on a login node of the cluster",
            hint="start it there, after `module load slurm` if the site wants that;"
            " on one machine with GPUs: --profile profiles/local instead of profiles/slurm",
        )


def refuse_orphans() -> None:
    """Raise `UserError` if jobs of an earlier snakemake are still at work: started beside them, their work would be
    done twice.
    """
    jobs = jobs_at_work()
    if not jobs:
        return
    ids = " ".join(job.id for job in jobs)
    shown = "; ".join(f"{job.id} {job.state.lower()}: {job.what}" for job in jobs[:5])
    raise UserError(
        f"{len(jobs)} jobs of an earlier snakemake are still with SLURM: {shown}",
        where=str(Path.cwd()),
        hint=f"wait until `safety-regions status` shows none, or end them: scancel {ids}; then start again."
        " What they have finished is kept",
    )


def accounting_missing() -> bool:
    """Whether SLURM keeps no accounts: then a controller that restarts makes snakemake forget its jobs and wait for
    ever.
    """
    if shutil.which("sbatch") is None:
        return False
    try:
        return (
            subprocess.run(["sacct", "-X", "-n", "-S", "now-1minute"], capture_output=True, timeout=PATIENCE).returncode
            != 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return True


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise UserError(
            f"SLURM does not answer: {said.strip()}",
            where=command[0],
            hint="try again when it does; nothing was started",
        ) from None
