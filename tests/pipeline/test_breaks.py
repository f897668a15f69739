"""What is killed half-way is finished by the next run; what is damaged is found, named and mended as told."""

import os
import signal
import subprocess
from pathlib import Path

from pipeline import WorkingCopy, only, processes_of, started, wait_for

from safety_regions.artifacts.artifact import Artifact
from safety_regions.files import sha256_of_file, temporary_prefix

UNTIL = ("--until", "measure")


def artifacts(copy: WorkingCopy, kind: str, *parts: str) -> list[Artifact]:
    """The planned artifacts of a kind, those with all these parts in their paths."""
    return [a for a in copy.plan().made.values() if a.kind == kind and all(part in a.path for part in parts)]


def some_made(copy: WorkingCopy, regions: list[Artifact], fewest: int) -> bool:
    return sum((copy.folder / region.receipt).exists() for region in regions) >= fewest


def finished_of(times: dict[str, int]) -> dict[str, int]:
    """Those files that are whole: no temporary ones, and of what is beside a receipt, only where the receipt is
    there.
    """
    return {
        name: time
        for name, time in times.items()
        if not name.endswith(".tmp") and (name.endswith("receipt.json") or f"{name}.receipt.json" in times)
    }


def leave_half_written(copy: WorkingCopy, region: Artifact, model: Artifact) -> None:
    """What a killed writer leaves: a half-written file beside its target, a half-made model folder."""
    writer = subprocess.Popen(["true"])
    writer.wait()
    for artifact in (region, model):
        path = copy.folder / artifact.path
        name = temporary_prefix(path).replace(f"-{os.getpid()}.", f"-{writer.pid}.")
        left = path.with_name(f"{name}0123abcd.tmp")
        left.mkdir() if artifact is model else left.write_bytes(b"half")


def test_a_killed_job_and_a_killed_run_are_finished_by_the_next(copy: WorkingCopy):
    expected = copy.made()
    regions = artifacts(copy, "region", "/snip/")
    copy.remove("regions/micro/snip", "manifests/measure", "overlap", "replicates", "evaluate", "figures", "report")
    copy.change(machine__batch_tokens=1)

    with started(copy, *UNTIL) as run:
        wait_for(lambda: some_made(copy, regions, 1) and bool(processes_of(copy.folder, "scripts/measure.py")))
        for process in processes_of(copy.folder, "scripts/measure.py"):
            os.kill(process, signal.SIGKILL)
        assert run.wait(timeout=500) != 0
    by_first = copy.times()
    assert not some_made(copy, regions, len(regions))

    with started(copy, *UNTIL):
        wait_for(lambda: some_made(copy, regions, 2))
    by_second = copy.times()
    assert not some_made(copy, regions, len(regions))
    leave_half_written(copy, regions[-1], artifacts(copy, "model")[0])

    locked = copy.snakemake(*UNTIL)
    assert locked.returncode != 0
    assert "--unlock" in locked.stdout
    copy.run("--unlock")
    copy.run(*UNTIL)
    made, times = copy.made(), copy.times()
    assert made == {name: sha for name, sha in expected.items() if name in made}
    assert some_made(copy, regions, len(regions))
    assert finished_of(by_first).items() <= finished_of(by_second).items() <= times.items()
    assert list(copy.results.rglob("*.tmp")) == []


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def delete_as_told(folder: Path, output: str) -> None:
    """Do what the hints of the errors in an output say."""
    hints = {
        line.split("delete ")[1].split(" and its receipt")[0]
        for line in output.splitlines()
        if "hint:" in line and "delete " in line
    }
    assert hints, output
    for name in hints:
        (folder / name).unlink()
        (folder / f"{name}.receipt.json").unlink()


def fail_and_delete(copy: WorkingCopy, damaged: Artifact, *until: str) -> None:
    """Run into a damaged artifact, read in the message which it is, and delete it as told."""
    flip(copy.folder / damaged.path)
    failed = copy.snakemake("--until", *until)
    assert failed.returncode != 0
    assert "Traceback" not in failed.stdout
    # Snakemake shows the command that failed, which names the file with its recipes instead of holding them.
    assert "recipe" not in failed.stdout and "--job @logs/jobs/" in failed.stdout
    assert f"altered or damaged since it was made\n  where:    {damaged.path}\n" in failed.stdout
    delete_as_told(copy.folder, failed.stdout)


def test_a_damaged_region_is_named_and_mended_as_told(copy: WorkingCopy):
    (damaged,) = artifacts(copy, "region", "/snip/syn_steal.")
    before = sha256_of_file(copy.folder / damaged.path)
    copy.change(thresholds__p=0.1, methods=only("snip"))
    fail_and_delete(copy, damaged, "overlap")
    copy.run("--until", "overlap")
    assert sha256_of_file(copy.folder / damaged.path) == before


def test_damaged_pairs_and_statistics_are_named_and_made_again_as_told(copy: WorkingCopy):
    (statistics,) = artifacts(copy, "statistics", "/wanda/syn_steal.")
    pairs = statistics.inputs["pairs"]
    copy.change(thresholds__grid=[0.01, 0.05], methods=only("snip", "wanda"))
    until = ("measure", "select_regions")
    fail_and_delete(copy, statistics, *until)
    fail_and_delete(copy, pairs, *until)
    assert copy.planned_jobs("--until", *until) == {"respond": 1, "measure": 1, "select_regions": 1}
