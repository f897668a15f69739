"""What snakemake's own log, .snakemake/log/TIME.snakemake.log, says of a run: its jobs, and how it ended."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

LOGS = Path(".snakemake/log")
TIME = re.compile(r"^\[(\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4})\]$", re.MULTILINE)
"""Stands above every event of a job."""
HEADER = re.compile(r"^  (Date|Host|Command): (.*)$", re.MULTILINE)
WITH_MESSAGE = re.compile(r"\AJob (\d+): (.+)")
"""Start of a job whose rule has a message."""
WITHOUT_MESSAGE = re.compile(r"\A(?:local)?(?:rule|checkpoint) (\w+):\n(?:    .*\n)*?    jobid: (\d+)$", re.MULTILINE)
SUBMITTED = re.compile(r"^Job (\d+) has been submitted with SLURM jobid (\d+) \(log: (.*)\)\.$", re.MULTILINE)
FINISHED = re.compile(r"\AFinished jobid: (\d+)")
ERROR = re.compile(r"\AError in rule (\w+):\n")
AGAIN = re.compile(r"^Trying to restart job (\d+)\.$", re.MULTILINE)
PROGRESS = re.compile(r"^(\d+) of (\d+) steps", re.MULTILINE)
TOTAL = re.compile(r"^total +(\d+)$", re.MULTILINE)
MISSING_OUTPUT = re.compile(r"^ *reason: .*?(results/[^\s,;]+)", re.MULTILINE | re.IGNORECASE)
KILLED = re.compile(r"died with <Signals.SIGKILL|returned non-zero exit status (?:137|-9)\.")
STOPPED = re.compile(r"^(?:\w+(?:Error|Exception)\b.*|[Ee]rror: .*)$", re.MULTILINE)


@dataclass
class LoggedJob:
    """A job of which the log speaks; what it says last counts."""

    id: str
    """snakemake's number of it, the same in every attempt."""
    what: str
    """Its rule's message, or the rule."""
    state: str = "started"
    """`started`, `finished` or `failed`."""
    since: datetime | None = None
    attempts: int = 1
    output: str = ""
    """A path that it is to make."""
    slurm_id: str = ""
    logs: list[str] = field(default_factory=list)
    """Its own log, then SLURM's: told once it has failed, SLURM's once it was submitted."""
    outputs: list[str] = field(default_factory=list)
    message: str = ""
    """Of a failure: what the executor says."""
    killed: bool = False


@dataclass
class LoggedRun:
    """One start of snakemake."""

    path: Path
    date: str
    host: str
    command: str
    jobs: dict[str, LoggedJob]
    done: int
    total: int
    """Jobs of this run; 0 if it never came to count them."""
    over: bool
    """Whether it came to its end: not while it runs, nor if it was killed."""
    error: str = ""
    """Why it stopped before any job."""


def latest_runs(folder: Path = LOGS) -> tuple[LoggedRun | None, LoggedRun | None]:
    """The latest start that had jobs to do or found nothing to do, and a later one that stopped before that with an
    error.
    """
    stopped = None
    for path in sorted(folder.glob("*.snakemake.log"), reverse=True):
        run = read_log(path)
        if run.total or run.over:
            return run, stopped
        if run.error and stopped is None:
            stopped = run
    return None, stopped


def read_log(path: Path) -> LoggedRun:
    """What one log says. It may still grow, and end anywhere."""
    text = path.read_text(encoding="utf-8", errors="replace")
    header = dict(HEADER.findall(text[:5000]))
    total, progress = TOTAL.search(text), PROGRESS.findall(text)
    over = "\nComplete log(s): " in text or "\nNothing to be done (" in text
    stopped = None if total or over else STOPPED.search(text)
    return LoggedRun(
        path,
        date=header.get("Date", ""),
        host=header.get("Host", ""),
        command=header.get("Command", ""),
        jobs=_jobs(text),
        done=int(progress[-1][0]) if progress else 0,
        total=int(total[1]) if total else 0,
        over=over,
        error=text[stopped.start() :].strip() if stopped else "",
    )


def _events(text: str) -> Iterator[tuple[datetime, str, str]]:
    """When, what is said above the time (since the event before), and what below it."""
    before, *parts = TIME.split(text)
    for when, event in zip(parts[::2], parts[1::2], strict=True):
        yield datetime.strptime(when, "%a %b %d %H:%M:%S %Y"), before, event.lstrip("\n")
        before = event


def _jobs(text: str) -> dict[str, LoggedJob]:
    jobs: dict[str, LoggedJob] = {}
    for when, before, event in _events(text):
        if start := WITH_MESSAGE.match(event):
            _start(jobs, start[1], start[2], when, event)
        elif start := WITHOUT_MESSAGE.match(event):
            _start(jobs, start[2], start[1], when, event)
        elif (end := FINISHED.match(event)) and end[1] in jobs:
            jobs[end[1]].state, jobs[end[1]].since = "finished", when
        elif ERROR.match(event):
            _fail(jobs, event, when, killed=bool(KILLED.search(before[before.rfind("\nRuleException:") :])))
        for id, slurm_id, log in SUBMITTED.findall(event):
            if id in jobs:
                jobs[id].slurm_id, jobs[id].logs = slurm_id, [log]
        for id in AGAIN.findall(event):
            if id in jobs:
                jobs[id].state, jobs[id].attempts = "started", jobs[id].attempts + 1
    return jobs


def _start(jobs: dict[str, LoggedJob], id: str, what: str, when: datetime, event: str) -> None:
    output = MISSING_OUTPUT.search(event)
    attempts = jobs[id].attempts if id in jobs else 1
    jobs[id] = LoggedJob(id, what, since=when, attempts=attempts, output=output[1] if output else "")


def _fail(jobs: dict[str, LoggedJob], event: str, when: datetime, killed: bool) -> None:
    found = re.search(r"^    jobid: (\d+)$", event, re.MULTILINE)
    if found is None or found[1] not in jobs:
        return
    job = jobs[found[1]]
    job.state, job.since, job.killed = "failed", when, killed
    message = re.search(r"^    message: (.*?)(?=^    (?:sbatch call|jobid):)", event, re.MULTILINE | re.DOTALL)
    job.message = message[1].strip() if message and message[1].strip() != "None" else ""
    job.logs, job.outputs = (_listed(event, key) for key in ("log", "output"))


def _listed(event: str, key: str) -> list[str]:
    found = re.search(rf"^    {key}: (.*?)(?: \(check log file\(s\).*)?$", event, re.MULTILINE)
    return found[1].split(", ") if found else []
