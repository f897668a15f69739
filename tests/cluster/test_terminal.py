"""What is said in the terminal of a run, from records as snakemake makes them."""

import dataclasses
import logging
from pathlib import Path

import pytest
from made import Made
from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

from safety_regions.cluster.resources import Asking
from safety_regions.cluster.terminal import SMALL, STREAM, EstimatedSeconds, Terminal, install
from safety_regions.planning.plan import Plan


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def record(event: LogEvent | None = None, message: str = "", **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, message, None, None)
    made.__dict__.update(fields | {"event": event} if event else {})
    return made


def begun(jobid: int, message: str, key: str | None = None) -> logging.LogRecord:
    wildcards = {"key": key} if key else {}
    return record(
        LogEvent.JOB_INFO, jobid=jobid, rule_msg=message, wildcards=wildcards, reason="Missing output files: x"
    )


class Said:
    """Feeds records to a terminal and keeps what it shows, without the time of day."""

    def __init__(self, seconds: EstimatedSeconds) -> None:
        self.clock = Clock()
        self.terminal = Terminal(DefaultFormatter(), seconds, self.clock)

    def __call__(self, *records: logging.LogRecord) -> list[str]:
        lines = [self.terminal.format(each) for each in records if self.terminal.heeds(each)]
        return [line.split(" ", 1)[1] if line[2:3] == ":" else line for line in lines]


class Fixed(EstimatedSeconds):
    def __init__(self) -> None:
        """Of a job with a key of that many digits."""

    def of_job(self, key: str) -> float:
        return float(len(key))

    def of_rules(self, counts: object) -> float:
        assert counts == {"measure": 2}
        return 100.0


def ended(jobid: int, done: int, total: int = 2) -> list[logging.LogRecord]:
    return [record(LogEvent.JOB_FINISHED, job_id=jobid), record(LogEvent.PROGRESS, done=done, total=total)]


def test_a_job_is_a_line_and_progress_is_by_estimated_time():
    said = Said(Fixed())
    assert said(record(LogEvent.RUN_INFO, "Job stats", stats={"measure": 2, "total": 2})) == ["Job stats"]
    assert said(record(None, "Select jobs to execute..."), record(LogEvent.JOB_STARTED, "Execute 2 jobs...")) == []
    assert said(begun(1, "Measure a", "k"), begun(2, "Measure b", "k" * 49)) == ["Measure a", "Measure b"]
    # Half of the jobs, and one hundredth of the work.
    assert said(*ended(1, 1)) == ["1 of 2 jobs done, 1% by estimated time"]
    said.clock.now = 600.0
    assert said(begun(3, "Measure c", "k" * 49), *ended(2, 1)) == [
        "Measure c",
        "1 of 2 jobs done, 50% by estimated time, about 10 min left",
    ]
    assert said(*ended(3, 2)) == ["2 of 2 jobs done, 100% by estimated time"]
    assert said(record(None, "Complete log(s): x")) == ["Complete log(s): x"]


def test_what_is_as_before_is_not_told_again():
    said = Said(Fixed())
    said(record(LogEvent.RUN_INFO, stats={"measure": 2, "total": 2}), begun(1, "a", "k"))
    assert len(said(*ended(1, 1), *ended(9, 1))) == 2
    assert said(record(LogEvent.PROGRESS, done=1, total=2)) == []


def test_jobs_are_weighed_by_their_models(made_once: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    plan = dataclasses.replace(made_once.plan)
    batch = next(batch for batch in plan.batches.values() if batch.step == "measure")
    asking = Asking(plan, gpu_seen=False)
    seconds = EstimatedSeconds(asking)
    jobs = [job for job in asking.jobs if job.step == "measure"]
    assert jobs
    assert seconds.of_job(batch.key) > SMALL
    rows = next(artifact for artifact in plan.made.values() if artifact.kind == "dataset")
    assert seconds.of_job(rows.key) == SMALL
    mean = sum(asking.need(job.step, job.artifacts).seconds for job in jobs) / len(jobs)
    assert seconds.of_rules({"measure": 3, "fetch_dataset": 2}) == pytest.approx(3 * mean + 2 * SMALL)


@pytest.mark.parametrize(("level", "ours"), [(logging.INFO, True), (logging.DEBUG, False)])
def test_only_the_terminal_is_spoken_to_so_and_not_where_all_is_asked_for(seen: Plan, level: int, ours: bool):
    logger = logging.Logger("of a test", level)
    stream, file = logging.StreamHandler(), logging.StreamHandler()
    stream.name, file.name = STREAM, "DefaultLogFileHandler"
    for handler in (stream, file):
        handler.setFormatter(DefaultFormatter())
        logger.addHandler(handler)
    install(logger, Asking(seen, gpu_seen=False))
    assert isinstance(stream.formatter, Terminal) == ours and isinstance(file.formatter, DefaultFormatter)
