"""How long `snakemake -n` takes and how much memory, as a ratio to an empty workflow; and what each cluster job pays to
plan again.

    python benchmarks/planning.py [--models 70] [--repeats 3]

Measured: an empty workflow; config/demo.yaml; config/paper.yaml; and a synthetic matrix of so many models, one artifact
per job, which is about 10,000 jobs with 70 models. Nothing is computed or fetched.
"""

import argparse
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
PARTS = ("Snakefile", "rules", "scripts", "config", "profiles")


def measured(command: list[str], folder: Path, repeats: int) -> tuple[float, int, str]:
    """Median seconds of wall time, the largest memory in MiB, and what the last run printed."""
    seconds, text = [], ""
    for _ in range(repeats):
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - start)
        text = done.stdout + done.stderr
        if done.returncode:
            raise SystemExit(text[-2000:])
    return statistics.median(seconds), peak_mib(command, folder), text


def peak_mib(command: list[str], folder: Path) -> int:
    """Peak memory of one more run, in a process of its own, since the system keeps the largest of all children."""
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True);"
        " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=folder, capture_output=True, text=True, check=True
    )
    return int(out.stdout) // 1024


def jobs_in(text: str) -> int:
    """The total of snakemake's job table."""
    found = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else 0


def new_copy(folder: Path) -> Path:
    """The workflow without results."""
    for name in PARTS:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, folder / name)
    return folder


def write_matrix(folder: Path, n_models: int) -> None:
    """A configuration with many tiny models and one artifact per job."""
    tiny = {
        f"tiny{i}": {"source": {"kind": "tiny", "family": "llama", "seed": i}, "licence": "none", "citation": "none"}
        for i in range(n_models)
    }
    (folder / "config/many_models.yaml").write_text(yaml.safe_dump(tiny))
    run = yaml.safe_load((folder / "config/demo.yaml").read_text())
    run |= {"name": "matrix", "models": list(tiny)}
    run["registry"]["models"] = ["config/models.yaml", "config/many_models.yaml"]
    run["machine"]["datasets_per_job"] = 1
    (folder / "config/matrix.yaml").write_text(yaml.safe_dump(run))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=70, help="models of the synthetic matrix (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, of which the median counts")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as name:
        folder = new_copy(Path(name))
        write_matrix(folder, arguments.models)
        (folder / "empty.smk").write_text("rule all:\n    input: []\n")
        dry = [str(SNAKEMAKE), "--dry-run", "--quiet", "reason"]
        cases = {"empty": [*dry, "--snakefile", "empty.smk"]}
        cases |= {name: [*dry, "--configfile", f"config/{name}.yaml"] for name in ("demo", "paper", "matrix")}
        print(f"{'workflow':10} {'jobs':>7} {'seconds':>8} {'ratio':>6} {'MiB':>6} {'ms per job':>11}")
        base = 0.0
        for what, command in cases.items():
            seconds, mib, text = measured(command, folder, arguments.repeats)
            base = base or seconds
            jobs = jobs_in(text)
            per_job = f"{1000 * (seconds - base) / jobs:11.2f}" if jobs > 1 else ""
            print(f"{what:10} {jobs:7} {seconds:8.2f} {seconds / base:6.2f} {mib:6} {per_job}")


if __name__ == "__main__":
    main()
