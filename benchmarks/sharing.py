"""How fast regions are published and pulled, against a plain copy and against DVC alone, in one run.

    python benchmarks/sharing.py [--gigabytes 2] [--files 32]

Random bytes stand for regions, which are compressed. The remote is a folder beside the project, on one disk: the
hardest comparison, since a copy there is all that has to be done. Four folders of that size are needed.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.registries import Registries
from safety_regions.config.run import RunConfig
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes.regions import RegionRecipe
from safety_regions.planning.recipes.report import ReportRecipe
from safety_regions.share.publish import publish
from safety_regions.share.pull import needed, pull

ROOT = Path(__file__).resolve().parents[1]
PARTS = (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore")
REMOTE = "    remote = store\n['remote \"store\"']\n    url = {url}\n    verify = true\n"


def do(*words: str) -> None:
    """Run a program, which must succeed, without what it prints."""
    subprocess.run(words, check=True, capture_output=True)


def new_project(folder: Path, remote: Path) -> None:
    """An empty project with git and DVC, in which this process then is."""
    for name in PARTS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    with (folder / ".dvc/config").open("a") as config:
        config.write(REMOTE.format(url=remote))
    os.chdir(folder)
    do("git", "init", "--quiet")
    do("git", "add", ".")
    do("git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "--quiet", "-m", "start")


def write_regions(n_files: int, n_bytes: int) -> Plan:
    """Files of random bytes with receipts where regions go, and the plan that has them."""
    artifacts = {}
    for number in range(n_files):
        artifact = Artifact(_region(number), f"model/snip/set{number}")
        path = Path(artifact.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for _ in range(n_bytes // 2**20):
                file.write(os.urandom(2**20))
        receipts.write(path, artifact.recipe.as_json(), {})
        artifacts[artifact.key] = artifact
    report = Artifact(ReportRecipe(parts={}, style="", config={}, sources=[]), "bench")
    return Plan(RunConfig(name="bench"), Registries({}, {}), made=artifacts, targets=[report])


def _region(number: int) -> RegionRecipe:
    options = {"number": number}
    return RegionRecipe(method="snip", version=1, model="", options=options, pairs="", grid=[0.05], scope="matrix")


def seconds(act: Callable[[], object]) -> float:
    """Wall time, with all that was written on the disk."""
    start = time.perf_counter()
    act()
    os.sync()
    return time.perf_counter() - start


def dvc(*words: str) -> None:
    do(sys.executable, "-m", "dvc", *words, "--quiet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2, help="of regions (default %(default)g)")
    parser.add_argument("--files", type=int, default=32, help="in which they lie (default %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        base = Path(name)
        new_project(base / "project", base / "remote")
        plan = write_regions(arguments.files, int(arguments.gigabytes * 1e9 / arguments.files))
        regions = "results/regions/model/snip"
        times = {"copy": seconds(lambda: shutil.copytree(regions, base / "copied"))}
        shutil.rmtree(base / "copied")
        files = sorted(str(path) for path in Path(regions).glob("*.safetensors"))
        times["dvc add and push"] = seconds(
            lambda: (dvc("add", "--no-relink", *files), dvc("push", *(f"{f}.dvc" for f in files)))
        )
        for path in [*Path(regions).glob("*.dvc"), base / "remote", Path(".dvc/cache")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        times["publish"] = seconds(lambda: publish(plan))
        times["second publish"] = seconds(lambda: publish(plan))
        for what, act in (
            ("dvc pull", lambda: dvc("pull", "--recursive", "results")),
            ("pull", lambda: pull(needed(plan, True))),
        ):
            shutil.rmtree(".dvc/cache")
            for file in files:
                Path(file).unlink()
            times[what] = seconds(act)
    for what, spent in times.items():
        print(
            f"{what:17} {spent:7.1f} s  {arguments.gigabytes / spent:6.2f} GB/s  {spent / times['copy']:5.1f} x a copy"
        )


if __name__ == "__main__":
    main()
