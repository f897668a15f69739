"""What is said of a run: from the plan, snakemake's log, processes and SLURM's queue."""

import argparse
import dataclasses
import platform
import shutil
from pathlib import Path

import pytest
from pipeline import new_working_copy
from snakelogs import FAILED, HEADER, OVER, STARTED, fake_squeue, finished, log, snakemake_at_work, write

from safety_regions.cluster.run_state import look, snakemake_here
from safety_regions.cluster.snakemake_log import LOGS
from safety_regions.cluster.status import lines, progress_table
from safety_regions.commands import status
from safety_regions.config.registries import Registries
from safety_regions.config.run import RunConfig
from safety_regions.planning.plan import Plan


def shown() -> str:
    """All that is said of this folder and a plan of nothing."""
    return "\n".join(lines(Plan(RunConfig(), Registries({}, {})), look()))


def test_a_folder_in_which_nothing_was_started(here: Path) -> None:
    assert "No run was started here yet." in shown()
    assert not look().has_failed


def test_failures_are_shown_with_reason_and_log_until_they_are_made_up_for(here: Path) -> None:
    write("logs/identify/bad.0123456789ac.log", "one\ntwo\nerror: no GPU is visible to torch\n")
    log(HEADER, STARTED, FAILED, finished(1, "measure", 1), finished(2, "respond", 2), OVER)
    text = shown()
    assert "It ended with failures; 2 of 4 jobs done." in text
    assert (
        "Failed (1):\n  identify [SLURM 101]: no GPU is visible to torch\n   "
        " logs/identify/bad.0123456789ac.log\n      one\n      two\n" in text
    )
    assert look().has_failed
    write("results/bad.0123456789ac.json", "1")
    assert "Failed" not in shown()
    assert not look().has_failed


def test_running_and_waiting_jobs_are_shown_with_node_time_and_reason(here: Path) -> None:
    fake_squeue()
    log(HEADER, STARTED, FAILED)
    write("logs/measure/good.0123456789ab.1.log", "start\nwanda:  45%|####     | 45/100\n")
    with snakemake_at_work("--profile", "profiles/slurm"):
        text = shown()
    assert "It is at work; 0 of 4 jobs done." in text
    assert (
        "Running (1):\n  Measure the statistics of good [SLURM 103]: running on gpu1, for 0:41\n    wanda:"
        "  45%|####     | 45/100\n" in text
    )
    assert "Waiting at SLURM (1):\n  Answer the prompts of all sets: good [SLURM 104]: waits for Resources\n" in text
    assert "Not started: 1 jobs." in text
    assert "scancel" not in text


def test_local_jobs_are_shown_while_snakemake_runs(here: Path) -> None:
    log(HEADER, STARTED[: STARTED.index("Job 3 has")])
    with snakemake_at_work():
        assert "Running (3):\n  identify, for " in shown()
    assert "Running" not in shown()


def test_jobs_that_no_snakemake_waits_for_are_orphans(here: Path) -> None:
    fake_squeue()
    log(HEADER, STARTED)
    write(".snakemake/locks/0.output.lock", "")
    with snakemake_at_work("--mode", "remote"):
        assert not snakemake_here()
        text = shown()
    assert "It was killed; 0 of 4 jobs done." in text
    assert (
        "No snakemake waits for the jobs at SLURM. Let them end, or end them:"
        " scancel 103 104\nThen `snakemake --unlock`, and start it again" in text
    )
    assert look().has_failed
    fake_squeue("")
    assert "No snakemake is at work here: `snakemake --unlock`, and start it again" in shown()


def test_a_run_on_another_machine_may_be_at_work(here: Path) -> None:
    fake_squeue()
    log(HEADER.replace(platform.node(), "login2"), STARTED)
    text = shown()
    assert "whether it is at work, only login2 can tell" in text
    assert "Running (1):" in text
    assert "scancel" not in text
    assert not look().has_failed


def test_a_slurm_that_does_not_answer_is_said_where_it_matters(here: Path) -> None:
    fake_squeue("", code=1)
    assert "SLURM" not in shown()
    log(HEADER, STARTED)
    assert "SLURM does not answer" in shown()


def test_a_later_start_that_stopped_is_shown(here: Path) -> None:
    log(HEADER, STARTED, finished(1, "measure", 1), "Complete log(s): x\n", name="2026-11-25T10")
    log(
        "error: q = 0.4 is not in the grid\n  where: x\n",
        name="2026-11-25T121314.5",
    )
    text = shown()
    assert "A later start (2026-11-25T121314) stopped before any job:\n  error: q = 0.4 is not in the grid" in text
    assert look().has_failed


@pytest.mark.parametrize(
    ("command", "same"),
    [
        ("snakemake --profile profiles/slurm", True),
        ("snakemake -n --configfile config/demo.yaml --config 'machine={cores: 2}'", True),
        ("snakemake --configfile config/small.yaml", False),
        ("snakemake --configfiles config/demo.yaml own.yaml --cores 2", False),
        ("snakemake --config 'thresholds={q: 0.01}'", False),
        ("snakemake --configfile", True),
    ],
)
def test_a_run_of_another_configuration_is_told_from_the_one_asked_about(here: Path, command: str, same: bool) -> None:
    """Its table is of the one, and the progress of the other. A command that cannot be read is not judged."""
    log(HEADER.replace("snakemake --profile profiles/slurm", command), STARTED)
    assert ("another run than the one counted above" in shown()) != same


def test_the_table_counts_what_is_in_place_by_model_and_kind(plan: Plan) -> None:
    first, heads, row = progress_table(dataclasses.replace(plan))
    assert "report 1/1" in first
    assert "dataset 4/4" in first
    counts = dict(zip(heads.split(), row.split()[1:], strict=True))
    assert (counts["region"], counts["overlap"], counts["figures"], counts["model"]) == ("49/49", "5/5", "5/5", "1/1")
    # What is gone and not needed any more does not count; what is to be made again does.
    shutil.rmtree(plan.models["micro"].path)
    first, heads, row = progress_table(dataclasses.replace(plan))
    assert "model" not in heads
    for made in (plan.regions["micro", "snip"]["syn_steal"], plan.overlaps["micro", "snip"], plan.targets[0]):
        Path(made.receipt).unlink()
    first, heads, row = progress_table(dataclasses.replace(plan))
    counts = dict(zip(heads.split(), row.split()[1:], strict=True))
    assert (counts["region"], counts["overlap"], counts["figures"], counts["model"]) == ("48/49", "4/5", "5/5", "0/1")
    assert "report 0/1" in first


def test_the_command_after_a_job_that_failed_at_a_real_snakemake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    copy = new_working_copy(tmp_path / "copy")
    (copy.folder / "own.csv").write_text("question\nHow do I paint a fence?\n")
    ended = copy.snakemake("--until", "fetch_dataset", "--cores", "1")
    assert ended.returncode == 1
    # A night that fails ends with what failed, and why.
    last = ended.stdout.splitlines()[-8:]
    # The terminal has a line for each job, and how far all are; why they run stands in snakemake's own log.
    assert " Fetch the dataset syn_steal\n" in ended.stdout and "% by estimated time" in ended.stdout
    assert "Reason:" not in ended.stdout and "Finished jobid" not in ended.stdout
    (own,) = (copy.folder / LOGS).glob("*.log")
    assert "Reason: Missing output files: " in own.read_text() and "Finished jobid" in own.read_text()
    assert last[0] == "Failed (1):" and last[1].startswith("  Fetch the dataset own_set: no column")
    assert last[-1].endswith(": safety-regions status --configfile config/micro.yaml")
    monkeypatch.chdir(copy.folder)
    parser = argparse.ArgumentParser()
    status.configure(parser)
    arguments = parser.parse_args(["--configfile", "config/micro.yaml"])
    assert status.run(arguments) == 1
    text = capsys.readouterr().out
    assert "dataset 3/4" in text
    assert "3 of " in text
    assert "Fetch the dataset own_set: " in text
    assert "prompt" in text[text.index("Fetch the dataset own_set: ") :].splitlines()[0]
    assert "    logs/fetch_dataset/own_set." in text
