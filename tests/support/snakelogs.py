"""Texts of snakemake's logs and of SLURM's queue, recorded from runs at a real SLURM, shortened, and put in place."""

import contextlib
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import wait_for

from safety_regions.cluster.snakemake_log import LOGS

HEADER = f"""
SNAKEMAKE
=========
  Date: 2026-11-25 16:48:43
  Host: {platform.node()}
  User: me
  Command: snakemake --profile profiles/slurm
  Config file(s): []

Building DAG of jobs...
"""
STARTED = """SLURM run ID: safety-regions_29fd0a7e
Job stats:
job        count
-------  -------
identify       1
measure        1
respond        2
total          4

Select jobs to execute...
Execute 3 jobs...
[Wed Nov 25 16:48:44 2026]
rule identify:
    input: results/prep.txt
    output: results/bad.0123456789ac.json
    log: logs/identify/bad.0123456789ac.log
    jobid: 3
    reason: Missing output files: results/bad.0123456789ac.json; Input files updated by another job: results/prep.txt
    resources: tmpdir=<TBD>, mem_mb=600
[Wed Nov 25 16:48:44 2026]
Job 1: Measure the statistics of good
Reason: Missing output files: results/manifests/measure/good.0123456789ab.1.json; Input files updated by another job: \
results/prep.txt
No SLURM account given, trying to guess.
[Wed Nov 25 16:48:44 2026]
Job 2: Answer the prompts of all sets: good
Reason: Missing output files: results/manifests/respond/good.abcdef012345.1.json
Unable to guess SLURM account. Trying to proceed without.
Job 3 has been submitted with SLURM jobid 101 (log: {here}/.snakemake/slurm_logs/rule_identify/101.log).
Job 1 has been submitted with SLURM jobid 103 (log: {here}/.snakemake/slurm_logs/rule_measure/103.log).
Job 2 has been submitted with SLURM jobid 104 (log: {here}/.snakemake/slurm_logs/rule_respond/104.log).
"""
FAILED = """[Wed Nov 25 16:49:17 2026]
Error in rule identify:
    message: SLURM-job '101' failed, SLURM status is: 'FAILED'. Detailed failure reason unavailable (status command is \
not 'sacct').For further error details see the cluster/cloud log and the log files of the involved rule(s).
    jobid: 3
    input: results/prep.txt
    output: results/bad.0123456789ac.json
    log: logs/identify/bad.0123456789ac.log, {here}/.snakemake/slurm_logs/rule_identify/101.log (check log file(s) for \
error details)
    shell:
        exec &> >(tee logs/identify/bad.0123456789ac.log); exit 1
        (command exited with non-zero exit code)
    external_jobid: 101
"""
AGAIN = """Trying to restart job 3.
Select jobs to execute...
Execute 1 jobs...
[Wed Nov 25 16:49:17 2026]
rule identify:
    output: results/bad.0123456789ac.json
    log: logs/identify/bad.0123456789ac.log
    jobid: 3
    reason: Missing output files: results/bad.0123456789ac.json
Job 3 has been submitted with SLURM jobid 105 (log: {here}/.snakemake/slurm_logs/rule_identify/105.log).
"""
FINISHED = """[Wed Nov 25 16:49:48 2026]
Finished jobid: {id} (Rule: {rule})
{done} of 4 steps (25%) done
"""
OVER = "Exiting because a job execution failed. Look above for error messages\nComplete log(s): \
{here}/.snakemake/log/x.snakemake.log\n"
LOCKED = "LockException:\nError: Directory cannot be locked. Please make sure that no other Snakemake process is \
trying ...\n"
QUEUE = """103|RUNNING|safety-regions_29fd0a7e|{here}|0:41|gpu1|None|rule_measure_wildcards_good_0123456789ab_1
104|PENDING|safety-regions_29fd0a7e|{here}|0:00||Resources|rule_respond_wildcards_good_abcdef012345_1
77|RUNNING|safety-regions_11111111|/elsewhere|5:00|gpu1|None|rule_measure
78|RUNNING|another|{here}|5:00|gpu1|None|nothing of ours
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the test runs, on a machine without SLURM."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def log(*parts: str, name: str = "2026-11-25T164843.988846") -> Path:
    """Write a log of snakemake's."""
    path = LOGS / f"{name}.snakemake.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(part.replace("{here}", str(Path.cwd())) for part in parts))
    return path


def finished(id: int, rule: str, done: int) -> str:
    return FINISHED.format(id=id, rule=rule, done=done)


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def fake_squeue(text: str = QUEUE, code: int = 0) -> None:
    """A SLURM that says this of its queue."""
    write("bin/squeue", f"#!/bin/sh\n/bin/cat <<'END'\n{text.replace('{here}', str(Path.cwd()))}END\nexit {code}\n")
    Path("bin/squeue").chmod(0o755)


@contextlib.contextmanager
def snakemake_at_work(*words: str) -> Iterator[None]:
    """A process that looks like a snakemake in this folder."""
    write("bin/snakemake", "import time\ntime.sleep(60)\n")
    process = subprocess.Popen([sys.executable, "bin/snakemake", *words])
    try:
        wait_for(lambda: b"snakemake" in Path(f"/proc/{process.pid}/cmdline").read_bytes())
        yield
    finally:
        process.kill()
        process.wait()
