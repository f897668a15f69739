"""Why a job failed, in a line, and the last lines of its log."""

import re
from pathlib import Path

from safety_regions.cluster.snakemake_log import LoggedJob

REFUSED = re.compile(r"sbatch failed\. The error message was '(?:sbatch: error: )?(.*?)'?\.?$", re.DOTALL)
STATUS = re.compile(r"SLURM status is: '(\w+)'")
BY_STATUS = {
    "TIMEOUT": "its time limit ended before it did",
    "NODE_FAIL": "its node failed",
    "CANCELLED": "it was cancelled",
    "PREEMPTED": "it was put aside for another job",
    "OUT_OF_MEMORY": "it needed more memory than it had asked for",
}
HOST_MEMORY = re.compile(r"oom.kill|out.of.memory handler|exceeded (?:job )?memory limit", re.IGNORECASE)
GPU_MEMORY = re.compile(r"CUDA out of memory|CUDA error: out of memory")
OURS = re.compile(r"^error: (.+)$", re.MULTILINE)
PYTHON = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b.*$", re.MULTILINE)
BY_SLURM = re.compile(r"slurm\w*[-:]|srun: (?!cluster configuration)")
TAIL, TAIL_WIDTH = 5, 160
TERMINAL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
"""Cursor movements of progress bars."""
READ = 200_000
"""Bytes at the end of a log that are looked at."""


def reason(job: LoggedJob) -> str:
    """What stopped a failed job, as far as snakemake, SLURM and the job's logs say."""
    if refused := REFUSED.search(job.message):
        return f"SLURM did not take it: {refused[1].splitlines()[-1].removeprefix('sbatch: error: ')}"
    status = STATUS.search(job.message)
    if status and status[1] in BY_STATUS:
        return BY_STATUS[status[1]]
    own, slurm = (end_of(job.logs[i]) if len(job.logs) > i else "" for i in (0, 1))
    if HOST_MEMORY.search(own + slurm):
        return BY_STATUS["OUT_OF_MEMORY"]
    if GPU_MEMORY.search(own):
        return "the GPU's memory did not suffice; lower machine.batch_tokens"
    for pattern in (OURS, PYTHON):
        if said := pattern.findall(own):
            return said[-1][:TAIL_WIDTH]
    if job.killed or own.rstrip().endswith("Killed"):
        return "it was killed, most often since this machine ran out of memory"
    return job.message.splitlines()[0] if job.message else "its log says no more"


def tail(job: LoggedJob) -> list[str]:
    """The paths of a failed job's logs, each with its last lines; of SLURM's log those that SLURM wrote."""
    shown: list[str] = []
    for place, log in enumerate(job.logs):
        lines = [line[:TAIL_WIDTH] for line in end_of(log).splitlines() if line.strip()]
        if place:
            lines = [line for line in lines if BY_SLURM.match(line)]
        shown += [_near(log), *(f"  {line}" for line in lines[-TAIL:])]
    return shown


def end_of(path: str | Path) -> str:
    """The last part of a text file; nothing if it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - READ))
            return TERMINAL.sub("", file.read().decode("utf-8", errors="replace")).replace("\r", "\n")
    except OSError:
        return ""


def _near(path: str) -> str:
    """Relative to this folder where it lies below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
