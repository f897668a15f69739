"""What a run says in the terminal: a line for each job that begins, and how far all are by their estimated time.

Snakemake's own log keeps all it has to say, reasons and ends of jobs among it: `safety-regions status` reads it there.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from safety_regions.cluster.resources import Asking
from safety_regions.planning.rule_inputs import made_by

STREAM = "DefaultStreamHandler"
"""Snakemake's name of the handler that writes to the terminal."""
SELECTING = "Select jobs to execute..."
STEPS = {"train_model": "train", "train_adapter": "train", "select_regions": "select", "refine_regions": "refine"}
"""Steps of rules that are not called by them."""
SMALL = 1.0
"""Seconds of a job that works with no model."""
SURE = 0.02
"""Part of the estimated time that has to be over before the rest is told in minutes."""


class EstimatedSeconds:
    """What jobs will take, by the sizes of their models: to be compared with one another, not with a clock."""

    def __init__(self, asking: Asking):
        self._asking = asking

    def of_job(self, key: str) -> float:
        """Of the job that makes a batch or a single artifact."""
        made = made_by(self._asking.plan, key)
        step = made[0].recipe.step if made else None
        return self._of(step, made) if step else SMALL

    def of_rules(self, counts: Mapping[str, int]) -> float:
        """Of so many jobs of each rule, each taken for a mean one of this run."""
        by_step: dict[str, list[float]] = {}
        for job in self._asking.jobs:
            by_step.setdefault(job.step, []).append(self._of(job.step, job.artifacts))
        means = {step: sum(seconds) / len(seconds) for step, seconds in by_step.items()}
        return sum(count * means.get(STEPS.get(rule, rule), SMALL) for rule, count in counts.items())

    def _of(self, step: str, made: list) -> float:
        return SMALL if self._asking.size(made) is None else self._asking.need(step, made).seconds


class Terminal(logging.Formatter):
    """Formats the records of one start of snakemake; `heeds` tells which of them."""

    def __init__(
        self, plain: logging.Formatter, seconds: EstimatedSeconds, clock: Callable[[], float] = time.monotonic
    ):
        """`plain`: formats what is not ours to format."""
        super().__init__()
        self._plain, self._seconds, self._clock = plain, seconds, clock
        self._counts: dict[str, int] = {}
        self._begun: dict[int, float] = {}
        self._done, self._total, self._began = 0.0, 0.0, clock()
        self._told = ""

    def heeds(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown; those that are not may still count."""
        event = getattr(record, "event", None)
        fields: dict[str, Any] = record.__dict__
        if event == LogEvent.RUN_INFO:
            self._counts = {rule: count for rule, count in fields["stats"].items() if rule != "total"}
        elif event == LogEvent.JOB_INFO:
            key = (fields["wildcards"] or {}).get("key")
            self._begun[fields["jobid"]] = self._seconds.of_job(key) if key else SMALL
        elif event == LogEvent.JOB_FINISHED:
            self._done += self._begun.pop(fields["job_id"], SMALL)
        elif event == LogEvent.PROGRESS:
            # What stays the same is not told again.
            before, self._told = self._told, self._part(fields["done"], fields["total"])
            return self._told != before
        return event not in (LogEvent.JOB_FINISHED, LogEvent.JOB_STARTED) and record.msg != SELECTING

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        fields: dict[str, Any] = record.__dict__
        if event == LogEvent.JOB_INFO and fields["rule_msg"]:
            return f"{_now()} {fields['rule_msg']}"
        if event == LogEvent.PROGRESS:
            left = "" if fields["done"] == fields["total"] else self._left()
            return f"{_now()} {fields['done']} of {fields['total']} jobs done, {self._told}{left}"
        return self._plain.format(record)

    def _part(self, done: int, total: int) -> str:
        self._total = self._total or self._seconds.of_rules(self._counts)
        return f"{self._share(done == total):.0%} by estimated time"

    def _share(self, all_done: bool = False) -> float:
        return 1.0 if all_done else min(self._done / self._total, 0.99) if self._total else 0.0

    def _left(self) -> str:
        share = self._share()
        if share < SURE:
            return ""
        minutes = (self._clock() - self._began) * (1 - share) / share / 60
        if minutes < 1:
            return ", less than a minute left"
        return f", about {minutes:.0f} min left" if minutes < 120 else f", about {minutes / 60:.0f} hours left"


def _now() -> str:
    return time.strftime("%H:%M:%S")


def install(logger: logging.Logger, asking: Asking) -> None:
    """Have this snakemake write so to the terminal, unless it was asked for all it has to say, or writes elsewhere."""
    if logger.isEnabledFor(logging.DEBUG):
        return
    for handler in logger.handlers:
        if handler.name == STREAM and handler.formatter:
            terminal = Terminal(handler.formatter, EstimatedSeconds(asking))
            handler.addFilter(terminal.heeds)
            handler.setFormatter(terminal)
