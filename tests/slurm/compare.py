"""Run a configuration on the test cluster and compare every byte with a local run's; what ran where, SLURM's own
records tell.

    python tests/slurm/compare.py [--configfile config/demo.yaml] [--local FOLDER] [--folder /tmp/slurm-compare]

FOLDER is where `snakemake --configfile ...` has run on one machine; without it that is done first. Exit code 1 where a
file differs, a job failed, or one ran in a partition or with GPUs where it should not.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from on_slurm import MACHINE, QUICK, misplaced
from pipeline import PARTS, ROOT, SNAKEMAKE, WorkingCopy
from slurm import Slurm


def new_copy(folder: Path) -> WorkingCopy:
    """The workflow as it is checked out."""
    folder.mkdir(parents=True)
    for name in PARTS:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, folder / name)
    return WorkingCopy(folder)


def seconds(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Run to the end, which must be a good one; seconds of wall time. What it prints is in run.txt."""
    start = time.perf_counter()
    with (folder / "run.txt").open("w") as out:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{(folder / 'run.txt').read_text()[-3000:]}")
    return time.perf_counter() - start


def table(jobs: list[dict[str, str]]) -> None:
    """Jobs by rule, partition, GPUs and state."""
    kinds = [
        (job["rule"], job["partition"], "gres/gpu=1" if "gres/gpu=1" in job["allocated"] else "-", job["state"])
        for job in jobs
    ]
    for kind in sorted(set(kinds)):
        print(f"{kind[0]:15} {kind[1]:5} {kind[2]:11} {kind[3]:10} {kinds.count(kind):4}")


def differing(local: dict[str, str], cluster: dict[str, str]) -> list[str]:
    """Files that only one has, or that have other bytes."""
    return sorted(name for name in local.keys() | cluster.keys() if local.get(name) != cluster.get(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", default="config/demo.yaml", help="below this checkout (default %(default)s)")
    parser.add_argument("--local", type=Path, help="folder of a finished local run; default: make one")
    parser.add_argument(
        "--folder", type=Path, default=Path(f"/tmp/slurm-{os.getpid()}"), help="of the cluster; a short path"
    )
    parser.add_argument("--port", type=int, default=28817, help="first of its ports (default %(default)s)")
    arguments = parser.parse_args()
    config = ["--configfile", arguments.configfile]
    slurm = Slurm(arguments.folder, arguments.port)
    with tempfile.TemporaryDirectory() as name:
        local = WorkingCopy(arguments.local) if arguments.local else new_copy(Path(name) / "local")
        if not arguments.local:
            took = seconds([str(SNAKEMAKE), *config], local.folder, local.environment())
            print(f"local run: {took:.0f} s", flush=True)
        copy = new_copy(Path(name) / "cluster")
        machine = ", ".join(f"{key}: {value}" for key, value in MACHINE.items())
        command = [str(SNAKEMAKE), "--profile", "profiles/slurm", *QUICK, *config, "--config", f"machine={{{machine}}}"]
        try:
            slurm.start()
            took = seconds(command, copy.folder, copy.environment() | slurm.environment())
            jobs = slurm.jobs()
        finally:
            slurm.stop()
            slurm.remove()
        made, expected = copy.made(), local.made()
        print(f"through SLURM: {took:.0f} s, {len(jobs)} jobs")
        table(jobs)
        different, wrong = differing(expected, made), [job for job in jobs if misplaced(job)]
        receipts = sum(path.endswith(".receipt.json") for path in made)
        print(f"{len(made)} files, {receipts} of them receipts: {len(different)} differ from the local run's")
        print("\n".join([*different[:20], *(f"misplaced: {job}" for job in wrong)]), end="")
    raise SystemExit(1 if different or wrong or not receipts else 0)


if __name__ == "__main__":
    main()
