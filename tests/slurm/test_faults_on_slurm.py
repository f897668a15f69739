"""What goes wrong on clusters: nothing is lost, and nothing is computed twice needlessly."""

import os
import signal
import time

import pytest
from on_slurm import OnSlurm, kill_group, regions_made, wait_until
from pipeline import WorkingCopy, processes_of
from slurm import Slurm

SNIP = ("--until", "measure")


@pytest.fixture
def run(copy: WorkingCopy, slurm: Slurm) -> OnSlurm:
    """A finished run without its SNIP regions and what was made of them."""
    copy.remove("regions/micro/snip", "manifests/measure", "overlap", "across", "evaluate", "figures", "report")
    return OnSlurm(copy, slurm)


@pytest.fixture
def expected(finished_run: WorkingCopy) -> dict[str, str]:
    """The bytes of the run that nothing happened to."""
    return finished_run.made()


def assert_whole(run: OnSlurm, expected: dict[str, str]) -> None:
    made = run.copy.made()
    assert len(regions_made(run.copy, "snip")) == 5
    assert made == {name: expected[name] for name in made}
    assert list(run.copy.results.rglob("*.tmp")) == []


def times(run: OnSlurm) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in regions_made(run.copy, "snip")}


def test_a_job_killed_for_its_memory_is_tried_again_with_more(run: OnSlurm, expected):
    before = len(run.jobs())
    run.run(*SNIP, "--set-resources", "measure:slurm_partition=gpu", "measure:mem_mb=100*attempt**6")
    jobs = run.jobs(before)
    assert [job["rule"] for job in jobs] == ["measure"] * len(jobs) and len(jobs) > 1
    assert jobs[-1]["state"] == "COMPLETED"
    assert all(job["state"] in ("FAILED", "OUT_OF_MEMORY") for job in jobs[:-1])
    assert "mem=100M" in jobs[0]["allocated"] and "mem=6400M" in jobs[1]["allocated"]
    assert_whole(run, expected)


def test_a_job_whose_time_is_up_is_tried_again_with_more(run: OnSlurm, expected):
    """SLURM counts minutes, so the job is held up until its first one is over."""
    before = len(run.jobs())
    with run.started(
        *SNIP, "--set-resources", "measure:slurm_partition=gpu", "measure:runtime=attempt**4"
    ) as snakemake:
        # The first of them is of the first job, whether SLURM's accounts know of it yet or not.
        wait_until(lambda: bool(processes_of(run.copy.folder, "scripts/measure.py")))
        for process in processes_of(run.copy.folder, "scripts/measure.py"):
            os.kill(process, signal.SIGSTOP)
        assert snakemake.wait(timeout=500) == 0, run.said()
    first, second = run.jobs(before)
    assert (first["state"], first["limit"]) == ("TIMEOUT", "00:01:00")
    assert (second["state"], second["limit"]) == ("COMPLETED", "00:16:00")
    assert_whole(run, expected)


def test_a_lost_node_costs_the_region_that_it_was_at(run: OnSlurm, expected):
    before = len(run.jobs())
    with run.started(*SNIP, batch_tokens=1) as snakemake:
        wait_until(lambda: len(regions_made(run.copy, "snip")) >= 1)
        node = run.jobs(before)[0]["node"]
        run.slurm.kill_node(node)
        finished = times(run)
        assert snakemake.wait(timeout=500) == 0, run.said()
    first, *others = run.jobs(before)
    assert first["state"] == "NODE_FAIL"
    assert [job["state"] for job in others] == ["COMPLETED"] and others[0]["node"] != node
    assert finished.items() <= times(run).items()
    assert_whole(run, expected)


def test_a_controller_that_comes_back_is_waited_for(run: OnSlurm, expected):
    before = len(run.jobs())
    with run.started(*SNIP, batch_tokens=1) as snakemake:
        wait_until(lambda: len(regions_made(run.copy, "snip")) >= 1)
        run.slurm.kill_controller()
        time.sleep(5)
        run.slurm.start_controller()
        assert snakemake.wait(timeout=500) == 0, run.said()
    assert [job["state"] for job in run.jobs(before)] == ["COMPLETED"]
    assert_whole(run, expected)


def test_jobs_of_a_killed_snakemake_are_never_done_twice(run: OnSlurm, expected):
    """A new one refuses to start beside them, and takes what they have made when they are done."""
    before = len(run.jobs())
    with run.started(*SNIP, batch_tokens=1) as snakemake:
        wait_until(lambda: len(regions_made(run.copy, "snip")) >= 1)
        kill_group(snakemake, signal.SIGKILL)
        snakemake.wait()
    # The job is held up, so that it is still there when the next snakemake comes.
    at_work = processes_of(run.copy.folder, "scripts/measure.py")
    for process in at_work:
        os.kill(process, signal.SIGSTOP)
    run.run("--unlock")
    (orphan,) = run.jobs(before)
    assert orphan["state"] == "RUNNING"
    refused = run.snakemake(*SNIP)
    assert refused.returncode != 0
    assert f"1 jobs of an earlier snakemake are still with SLURM: {orphan['id']} running" in refused.stdout
    assert f"scancel {orphan['id']}" in refused.stdout
    assert "Traceback" not in refused.stdout
    for process in at_work:
        os.kill(process, signal.SIGCONT)
    wait_until(lambda: run.jobs(before)[0]["state"] == "COMPLETED")
    finished = times(run)
    run.run(*SNIP)
    assert times(run) == finished
    assert_whole(run, expected)


def test_ctrl_c_ends_the_jobs_and_leaves_no_lock(run: OnSlurm, expected):
    before = len(run.jobs())
    with run.started(*SNIP, batch_tokens=1) as snakemake:
        wait_until(lambda: len(regions_made(run.copy, "snip")) >= 1)
        # Held up, so that the job does not end by itself before it is cancelled.
        for process in processes_of(run.copy.folder, "scripts/measure.py"):
            os.kill(process, signal.SIGSTOP)
        os.kill(snakemake.pid, signal.SIGINT)
        assert snakemake.wait(timeout=500) != 0
    wait_until(lambda: run.jobs(before)[0]["state"].startswith("CANCELLED"))
    finished = times(run)
    run.run(*SNIP)
    assert finished.items() <= times(run).items()
    assert_whole(run, expected)
