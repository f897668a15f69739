"""The pipeline of a working copy on the test cluster, by the project's own profile."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import WorkingCopy
from slurm import Slurm

# The profile's own values are for real clusters, where nobody waits for a test.
QUICK = (
    "--seconds-between-status-checks",
    "1",
    "--slurm-init-seconds-before-status-checks",
    "1",
    "--latency-wait",
    "5",
)
MACHINE = {
    "device": "cpu",
    "gpu_memory_gb": 80,
    "gpus_per_node": 2,
    # As on one machine, with whose files those of a cluster are compared.
    "batch_tokens": 512,
    "tables_per_job": 100,
    "trainings_per_job": 100,
}
ON_GPUS = {"train_model", "train_adapter", "respond", "measure", "constrain", "evaluate"}
ON_CPUS = {"select_regions", "overlap"}


def misplaced(job: dict[str, str]) -> bool:
    """Whether a job failed, or did not run in the partition and with the GPUs of its rule, by SLURM's record."""
    expected = ("gpu", True) if job["rule"] in ON_GPUS else ("cpu", False) if job["rule"] in ON_CPUS else None
    return job["state"] != "COMPLETED" or (job["partition"], "gres/gpu=1" in job["allocated"]) != expected


@dataclass(frozen=True)
class OnSlurm:
    """A working copy whose `snakemake` sends its jobs to a cluster."""

    copy: WorkingCopy
    slurm: Slurm

    def command(self, *arguments: str, **machine: object) -> list[str]:
        words = ", ".join(f"{key}: {value}" for key, value in (MACHINE | machine).items())
        return self.copy.command("--profile", "profiles/slurm", *QUICK, *arguments, "--config", f"machine={{{words}}}")

    def environment(self) -> dict[str, str]:
        return self.copy.environment() | {key: self.slurm.environment()[key] for key in ("SLURM_CONF", "PATH")}

    def snakemake(self, *arguments: str, **machine: object) -> subprocess.CompletedProcess[str]:
        """Run to the end; stdout and stderr are read as one text."""
        return subprocess.run(
            self.command(*arguments, **machine),
            cwd=self.copy.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )

    def run(self, *arguments: str, **machine: object) -> str:
        """Run, which must succeed, and return all it printed."""
        done = self.snakemake(*arguments, **machine)
        assert done.returncode == 0, done.stdout
        return done.stdout

    @contextmanager
    def started(self, *arguments: str, **machine: object) -> Iterator[subprocess.Popen]:
        """`snakemake` at work in a process group of its own, which is gone when the block ends; its output is in
        run.txt.
        """
        with (self.copy.folder / "run.txt").open("w") as out:
            # What a shell starts in the background ignores SIGINT, and so does all that it starts; this one must not.
            command = ["env", "--default-signal=INT", *self.command(*arguments, **machine)]
            process = subprocess.Popen(
                command,
                cwd=self.copy.folder,
                env=self.environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                kill_group(process, signal.SIGKILL)
                process.wait()

    def said(self) -> str:
        """What the last `started` one has printed."""
        return (self.copy.folder / "run.txt").read_text()

    def jobs(self, since: int = 0) -> list[dict[str, str]]:
        """SLURM's records of jobs after the first so many."""
        return self.slurm.jobs()[since:]


def kill_group(process: subprocess.Popen, number: signal.Signals) -> None:
    """Send a signal to a started snakemake and all it started here."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Look a few times a second until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def regions_made(copy: WorkingCopy, method: str) -> list[Path]:
    """Regions of a method that are there with their receipts."""
    return sorted(copy.results.glob(f"regions/*/{method}/*.receipt.json"))
