"""What snakemake's own logs say of a run, and why its jobs failed."""

import platform
from pathlib import Path

import pytest
from snakelogs import AGAIN, FAILED, HEADER, LOCKED, OVER, STARTED, finished, log, write

from safety_regions.cluster.failures import reason, tail
from safety_regions.cluster.snakemake_log import LoggedJob, latest_runs, read_log


def test_a_log_tells_the_state_of_every_job(here: Path) -> None:
    run = read_log(log(HEADER, STARTED, FAILED, AGAIN, finished(1, "measure", 1), FAILED.replace("101", "105"), OVER))
    assert (run.host, run.done, run.total, run.over) == (platform.node(), 1, 4, True)
    assert run.command == "snakemake --profile profiles/slurm"
    assert {job.what: (job.state, job.attempts, job.slurm_id) for job in run.jobs.values()} == {
        "identify": ("failed", 2, "105"),
        "Measure the statistics of good": ("finished", 1, "103"),
        "Answer the prompts of all sets: good": ("started", 1, "104"),
    }
    assert run.jobs["3"].logs == [
        "logs/identify/bad.0123456789ac.log",
        f"{here}/.snakemake/slurm_logs/rule_identify/105.log",
    ]
    assert run.jobs["2"].output == "results/manifests/respond/good.abcdef012345.1.json"


def test_a_job_that_is_tried_again_has_not_failed(here: Path) -> None:
    run = read_log(log(HEADER, STARTED, FAILED, AGAIN))
    assert run.jobs["3"].state == "started"
    assert not run.over
    # Before it has started again, too.
    assert read_log(log(HEADER, STARTED, FAILED, AGAIN.splitlines()[0] + "\n")).jobs["3"].state == "started"
    assert read_log(log(HEADER, STARTED, FAILED, AGAIN, finished(3, "identify", 1))).jobs["3"].state == "finished"


def test_a_log_may_end_anywhere(here: Path) -> None:
    whole = HEADER + STARTED + FAILED + AGAIN + finished(1, "measure", 1) + OVER
    for end in range(0, len(whole), 37):
        run = read_log(log(whole[:end]))
        assert run.error == ""
        assert len(run.jobs) <= 3


def test_the_latest_start_that_had_jobs_counts(here: Path) -> None:
    assert latest_runs() == (None, None)
    first = log(HEADER, STARTED, name="2026-11-25T10")
    log("Unlocked working directory.\n", name="2026-11-25T11")
    run, stopped = latest_runs()
    assert (run and run.path, stopped) == (first, None)
    log(HEADER, LOCKED, name="2026-11-25T12")
    run, stopped = latest_runs()
    assert run and run.path == first
    assert stopped and stopped.error.startswith("LockException")
    last = log(HEADER, "Nothing to be done (all requested files are present and up to date).\n", name="2026-11-25T13")
    run, stopped = latest_runs()
    assert (run and run.path, run and run.over, stopped) == (last, True, None)


SAID = {
    "error: no GPU is visible to torch\n  expected: a CUDA device": "no GPU is visible to torch",
    "Traceback (most recent call last):\n  File\nValueError: not so\n": "ValueError: not so",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB": "the GPU's memory did not suffice",
    "wanda: 10%\nbash: line 1: 23 Killed": "it was killed",
    "all is well": "SLURM-job '7' failed",
}


@pytest.mark.parametrize("text", SAID)
def test_the_reason_is_read_from_the_jobs_log(here: Path, text: str) -> None:
    write("own.log", text)
    message = "SLURM-job '7' failed, SLURM status is: 'FAILED'. And so on."
    assert reason(LoggedJob("1", "x", logs=["own.log"], message=message)).startswith(SAID[text])


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. Reason: Unknown.", "its time limit ended"),
        ("SLURM-job '7' failed due to a node failure, SLURM status is: 'NODE_FAIL'. Consider", "its node failed"),
        ("SLURM-job '7' failed, SLURM status is: 'OUT_OF_MEMORY'. Reason: Unknown.", "it needed more memory"),
        (
            "SLURM sbatch failed. The error message was 'sbatch: error: Memory specification can not be satisfied\n"
            "sbatch: error: Batch job submission failed: Requested node configuration is not available'.",
            "SLURM did not take it: Batch job submission failed: Requested node configuration is not available",
        ),
        ("", "its log says no more"),
    ],
)
def test_the_reason_is_read_from_what_slurm_says(here: Path, message: str, said: str) -> None:
    assert reason(LoggedJob("1", "x", logs=["nowhere.log"], message=message)).startswith(said)


def test_a_job_that_slurm_killed_for_memory_shows_slurms_words(here: Path) -> None:
    write("own.log", "wanda:  10%\r\x1b[Awanda:  20%\n")
    write(
        "slurm.log",
        "Building DAG of jobs...\nslurmstepd-cpu1: error: Exceeded job memory limit\nsrun: error: cpu1:"
        " task 0: Killed\nWorkflowError:\nAt least one job did not complete successfully.\n",
    )
    job = LoggedJob("1", "x", logs=["own.log", "slurm.log"])
    assert reason(job) == "it needed more memory than it had asked for"
    assert tail(job) == [
        "own.log",
        "  wanda:  10%",
        "  wanda:  20%",
        "slurm.log",
        "  slurmstepd-cpu1: error: Exceeded job memory limit",
        "  srun: error: cpu1: task 0: Killed",
    ]
