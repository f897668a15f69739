"""kill -9 at random moments of publish and pull, and of writing a mask: nothing is lost, and the next call does the
rest.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from made import Made
from pipeline import ROOT, WorkingCopy
from sharing import REMOTE, own_settings

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.regions.format import open_region

SAFETY_REGIONS = (sys.executable, "-m", "safety_regions")
RUN = ("--configfile", "config/micro.yaml")


def call(folder: Path, *words: str) -> str:
    """Run a program, which must succeed."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def duration(folder: Path, words: tuple[str, ...]) -> float:
    """How many seconds a program takes from start to end."""
    start = time.monotonic()
    call(folder, *words)
    return time.monotonic() - start


def killed(folder: Path, words: tuple[str, ...], seconds: float) -> None:
    """Start a program, and end it and all it started after so long."""
    process = subprocess.Popen(
        words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free(folder: Path, words: tuple[str, ...]) -> None:
    """Do what git says if it was killed while it held its lock: remove the file that it names."""
    if (lock := folder / ".git/index.lock").exists():
        refused = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        if refused.returncode != 0:
            assert f"{lock}': File exists" in refused.stderr and "remove the file" in refused.stderr
        lock.unlink()


@pytest.fixture(scope="module")
def project(made_once: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkingCopy]:
    """A run with everything made and nothing published; its remote lies beside it."""
    base = tmp_path_factory.mktemp("killed")
    with own_settings(base):
        copy = made_once.copy.copy_to(base / "project")
        for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
            (copy.folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, copy.folder / name)
        remote = REMOTE.replace("../../remote", str(base / "remote"))
        (copy.folder / ".dvc/config").write_text((ROOT / ".dvc/config").read_text() + remote)
        call(copy.folder, "git", "init", "--quiet", "--initial-branch=main")
        call(copy.folder, "git", "add", ".dvc", ".dvcignore", ".gitignore", "config", "own.csv")
        call(copy.folder, "git", "commit", "--quiet", "-m", "start")
        yield copy


def bytes_of(copy: WorkingCopy) -> dict[str, str]:
    """sha256 of everything that jobs made."""
    return {name: sha for name, sha in copy.made().items() if not name.endswith(".dvc")}


def test_publishing_and_pulling_killed_at_random_moments_lose_nothing(project: WorkingCopy):
    draw, folder = random.Random(0), project.folder
    before, publish = bytes_of(project), (*SAFETY_REGIONS, "publish", *RUN)
    shutil.copytree(folder, folder.with_name("other"), symlinks=True)
    config = folder.with_name("other") / ".dvc/config"
    config.write_text(config.read_text().replace("remote\n", "other-remote\n"))
    seconds = duration(config.parents[1], publish)
    for _ in range(6):
        killed(folder, publish, draw.uniform(0.2, 1) * seconds)
        free(folder, publish)
    call(folder, *publish)
    assert bytes_of(project) == before
    assert "fatal" not in call(folder, "git", "commit", "--quiet", "-m", "Publish")
    call(folder, *SAFETY_REGIONS, "verify", "--remote")

    for name in ("clone", "first"):
        call(folder.parent, "git", "clone", "--quiet", str(folder), name)
    clone, pull = WorkingCopy(folder.with_name("clone")), (*SAFETY_REGIONS, "pull", "--all", *RUN)
    seconds = duration(folder.with_name("first"), pull)
    for _ in range(5):
        killed(clone.folder, pull, draw.uniform(0.2, 1) * seconds)
    call(clone.folder, *pull)
    call(clone.folder, *SAFETY_REGIONS, "verify")
    pulled = bytes_of(clone)
    assert pulled.items() <= before.items()
    assert {name.split("/")[0] for name in before.keys() - pulled.keys()} == {"figures", "report"}
    assert call(clone.folder, "git", "status", "--porcelain") == ""


WRITER = """
import sys, numpy as np
from safety_regions.artifacts import receipts
from safety_regions.regions.format import write_region
from safety_regions.regions.select import Cut
levels = np.random.default_rng(0).integers(0, 4, (1500, 1500)).astype(np.uint8)
print("ready", flush=True)
for number in range(1000):
    path = f"{sys.argv[1]}/{number}.safetensors"
    write_region(path, [("0.q", levels), ("0.k", levels)], recipe_digest="0" * 64, cut=Cut([0.1, 0.2, 0.3], "matrix"))
    receipts.write(path, {"kind": "region"}, {})
"""


def test_a_writer_of_masks_killed_at_random_moments_leaves_whole_masks_or_none(tmp_path: Path):
    draw = random.Random(1)
    for number in range(9):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(draw.uniform(0.02, 0.6))
            process.kill()
        masks = sorted(folder.glob("[0-9]*.safetensors"))
        for mask in masks:
            with open_region(mask) as region:
                assert list(region.header.shapes) == ["0.q", "0.k"]
        # A mask whose receipt was not written any more is none, for all that follows.
        unfinished = [mask for mask in masks if not receipts.receipt_path(mask).exists()]
        assert len(unfinished) <= 1
        for mask in set(masks) - set(unfinished):
            receipts.check(mask)
        for mask in unfinished:
            with pytest.raises(UserError, match="receipt missing"):
                receipts.check(mask)
