"""What SLURM and snakemake add to short jobs: 200 of one second each, on the tests' cluster, submitted in five ways.

    python benchmarks/slurm.py [--jobs 200] [--per-job 25] [--folder /tmp/slurm-bench]

Ways: `sbatch` once for each; one `sbatch --array`; `sbatch` of batches; snakemake with its SLURM plugin, one job for
each; and snakemake with batches, as this pipeline's rules have them. Overhead per unit is (wall - work / CPUs) / units,
in seconds. CPU is what submitting and waiting took per unit on the login node, in seconds. All daemons and jobs share
one machine, so wall times say more about it than about a cluster.
"""

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/slurm"))

from slurm import Slurm  # noqa: E402

CPUS = 16
"""Of the partition without GPUs."""
SNAKEFILE = """
N, PER_JOB = int(config["units"]), int(config["per_job"])

rule all:
    input:
        expand("done/{i}", i=range(0, N, PER_JOB)),

rule work:
    output:
        "done/{i}",
    params:
        seconds=lambda wildcards: min(PER_JOB, N - int(wildcards.i)),
    shell:
        "for i in $(seq {params.seconds}); do sleep 1; done; touch {output}"
"""
OPTIONS = (
    "--executor slurm --jobs 1000 --default-resources slurm_partition=cpu mem_mb=1000 runtime=10"
    " --seconds-between-status-checks 5 --slurm-init-seconds-before-status-checks 5 --latency-wait 5"
)


class Cluster:
    """The test cluster, and a folder to submit from."""

    def __init__(self, slurm: Slurm, folder: Path):
        self.slurm, self.folder = slurm, folder

    def call(self, *command: str) -> None:
        done = subprocess.run(command, cwd=self.folder, env=self.slurm.environment(), capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{(done.stdout + done.stderr)[-2000:]}")

    def sbatch(self, seconds: int, *options: str) -> None:
        """Submit a job of so many sleeps."""
        script = f"for i in $(seq {seconds}); do sleep 1; done"
        self.call("sbatch", "--partition=cpu", "--output=/dev/null", "--time=10", *options, f"--wrap={script}")

    def snakemake(self, n: int, per_job: int) -> None:
        (self.folder / "Snakefile").write_text(SNAKEFILE)
        subprocess.run(["rm", "-rf", "done"], cwd=self.folder, check=True)
        self.call(
            str(Path(sys.executable).with_name("snakemake")),
            *OPTIONS.split(),
            "--config",
            f"units={n}",
            f"per_job={per_job}",
        )

    def wait(self) -> None:
        """Until no job is left."""
        while self.slurm.run("squeue", "--noheader").strip():
            time.sleep(0.25)

    def cpu_seconds(self) -> float:
        """Of all that was started here so far; SLURM's daemons and the jobs themselves are not."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    def n_jobs(self) -> int:
        return len(self.slurm.run("sacct", "-n", "-P", "-X", "-S", "now-1day", "-o", "jobid").split())


def measured(cluster: Cluster, submit: Callable[[], object]) -> tuple[int, float, float]:
    """Jobs at SLURM, seconds of wall time until all are done, and CPU seconds of submitting."""
    jobs, cpu, start = cluster.n_jobs(), cluster.cpu_seconds(), time.perf_counter()
    submit()
    cluster.wait()
    wall = time.perf_counter() - start
    # Accounts of the last jobs come a moment after they ended.
    time.sleep(3)
    return cluster.n_jobs() - jobs, wall, cluster.cpu_seconds() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200, help="units of one second (default %(default)s)")
    parser.add_argument("--per-job", type=int, default=25, help="units in a batch (default %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=Path(f"/tmp/slurm-{os.getpid()}"), help="of the cluster; a short path"
    )
    parser.add_argument("--port", type=int, default=27817, help="first of its ports (default %(default)s)")
    arguments = parser.parse_args()
    n, per_job = arguments.jobs, arguments.per_job
    slurm = Slurm(arguments.folder, arguments.port)
    try:
        slurm.start()
        with tempfile.TemporaryDirectory() as name:
            cluster = Cluster(slurm, Path(name))
            ways = {
                "sbatch": (1, lambda: [cluster.sbatch(1) for _ in range(n)]),
                "sbatch --array": (1, lambda: cluster.sbatch(1, f"--array=1-{n}")),
                "sbatch, batches": (
                    per_job,
                    lambda: [cluster.sbatch(min(per_job, n - i)) for i in range(0, n, per_job)],
                ),
                "snakemake": (1, lambda: cluster.snakemake(n, 1)),
                "snakemake, batches": (per_job, lambda: cluster.snakemake(n, per_job)),
            }
            print(f"{n} units of 1 s on {CPUS} CPUs")
            print(
                f"{'way':20}{'jobs':>6}{'wall s':>9}{'overhead s':>12}{'ratio':>7}{'CPU s':>8}{'ratio':>7}  "
                " (overhead and CPU per unit)"
            )
            base: tuple[float, float] | None = None
            for way, (size, submit) in ways.items():
                jobs, wall, cpu = measured(cluster, submit)
                # No way is blamed for the length of what it was asked to do in one job.
                ideal = size * math.ceil(math.ceil(n / size) / CPUS)
                overhead, used = (wall - ideal) / n, cpu / n
                base = base or (overhead, used)
                print(
                    f"{way:20}{jobs:6}{wall:9.1f}{overhead:12.3f}{overhead / base[0]:7.2f}"
                    f"{used:8.3f}{used / base[1]:7.2f}",
                    flush=True,
                )
    finally:
        slurm.stop()
        slurm.remove()


if __name__ == "__main__":
    main()
