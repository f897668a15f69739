"""A full disk: one message that names the file, nothing half-written, and after room is made the bytes of a run that
had it.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pipeline import WorkingCopy
from safetensors.numpy import save_file
from some_recipes import some_recipe

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.files import atomic_path, write_text
from safety_regions.models.folder import new_folder
from safety_regions.steps.entry import Entry
from safety_regions.steps.jobs import read_job, run_entries

PAGE = 4096
"""A tmpfs gives room in such pieces."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[Path, int], None]]:
    """Mounts a file system of so many bytes on a folder; called again, changes its size."""
    mounted: list[Path] = []

    def give(folder: Path, size: int) -> None:
        options = f"size={size}" + (",remount" if folder in mounted else "")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode and not mounted:
            pytest.skip(f"a small file system can only be mounted by root: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        mounted.append(folder)

    yield give
    for folder in set(mounted):
        subprocess.run(["umount", folder], check=True)


def fill(folder: Path, left: int) -> None:
    """Take all room but so many bytes."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with (folder / "filler").open("wb") as file:
        file.write(b"0" * max(0, free - left))


def assert_nothing_half(results: Path) -> None:
    """No temporary files; every receipt beside the bytes that it tells of."""
    assert [path for path in results.rglob(".*") if path.name.endswith(".tmp")] == []
    for receipt in results.rglob("*.receipt.json"):
        receipts.check(receipt.with_name(receipt.name.removesuffix(".receipt.json")))


def make(entry: Entry) -> None:
    """Weights of more than a page, with their receipt."""
    with atomic_path(entry.path) as temporary:
        save_file({"x": np.full(2 * PAGE, entry.recipe.seed, dtype=np.uint8)}, temporary)
    entry.done({"text": "t" * PAGE})


def test_wherever_a_job_runs_out_of_room_it_goes_on_from_what_is_whole(disk, tmp_path):
    """Room for nothing at all, for one page, for two, ... until the job is through."""
    results = tmp_path / "results"
    results.mkdir()
    disk(results, 64 * PAGE)
    content = [
        {"path": str(results / f"{i}.safetensors"), "recipe": some_recipe("prompts", seed=i).as_json(), "inputs": {}}
        for i in range(2)
    ]
    job, manifest = read_job(json.dumps({"entries": content})), results / "manifest.json"
    run_entries(job, make, manifest)
    expected = {path.name: path.read_bytes() for path in results.iterdir() if not path.name.endswith("run.json")}
    failures = []
    for pages in range(30):
        for path in results.iterdir():
            path.unlink()
        fill(results, pages * PAGE)
        try:
            run_entries(job, make, manifest)
            break
        except UserError as error:
            assert error.found == "no space left on device" and "make room" in error.hint
            assert Path(error.where).parent == results and not Path(error.where).name.startswith(".")
            failures.append(Path(error.where).name)
        assert_nothing_half(results)
        assert not manifest.exists()
        (results / "filler").unlink()
        run_entries(job, make, manifest)
        assert {name: (results / name).read_bytes() for name in expected} == expected
    # Every kind of file has been the one that did not fit.
    assert set(failures) == {*expected, "0.safetensors.run.json", "1.safetensors.run.json"}


def test_a_full_disk_ends_a_run_and_room_is_all_that_it_lacks(copy: WorkingCopy, disk):
    """Not even snakemake's own words hide the message; the regions that did fit are kept."""
    expected = copy.made()
    copy.remove("regions/micro/snip", "manifests/measure", "overlap", "across", "evaluate", "figures", "report")
    aside = copy.results.rename(copy.folder / "aside")
    copy.results.mkdir()
    disk(copy.results, 64 << 20)
    shutil.copytree(aside, copy.results, dirs_exist_ok=True, symlinks=True)
    # Room for one region of two pages, with two more files of a page each, and three folders.
    fill(copy.results, 6 * PAGE)

    failed = copy.snakemake("--until", "measure")
    assert failed.returncode != 0
    assert "Traceback" not in failed.stdout
    assert failed.stdout.count("error: no space left on device\n  where:    results/regions/micro/snip/") == 1
    assert "hint:     make room, then start again" in failed.stdout
    assert_nothing_half(copy.results)
    finished = {path: path.stat().st_mtime_ns for path in copy.results.glob("regions/micro/snip/*.receipt.json")}
    assert 1 <= len(finished) < 5

    (copy.results / "filler").unlink()
    copy.run("--until", "measure")
    assert finished.items() <= {path: path.stat().st_mtime_ns for path in finished}.items()
    assert len(list(copy.results.glob("regions/micro/snip/*.receipt.json"))) == 5
    made = copy.made()
    assert made == {name: expected[name] for name in made}


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, PAGE))


@pytest.mark.parametrize(
    "write", ["save_file({'x': np.zeros(9000, dtype=np.uint8)}, path)", "path.write_text('x' * 9000)"]
)
def test_a_file_larger_than_allowed_is_named(tmp_path, write):
    """What the system refuses reaches Python as an OSError, or in words from a library that is not written in it."""
    code = f"""
import numpy as np
from safetensors.numpy import save_file
from safety_regions.errors import run_main
from safety_regions.files import atomic_path

def main():
    with atomic_path({str(tmp_path / "x")!r}) as path:
        {write}

run_main(main)
"""
    done = subprocess.run([sys.executable, "-c", code], preexec_fn=limited, capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        done.stderr.startswith(f"error: file too large\n  where:    {tmp_path}/x\n") and "Traceback" not in done.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_a_model_folder_without_room_is_named(disk, tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    disk(models, 4 * PAGE)
    with (
        pytest.raises(UserError, match=rf"(?s)no space.*where: +{models}/tiny\n"),
        new_folder(models / "tiny") as folder,
    ):
        save_file({"x": np.zeros(9 * PAGE, dtype=np.uint8)}, folder / "model.safetensors")
    assert list(models.iterdir()) == []


def test_a_copy_without_room_is_named_by_what_was_to_be_written(disk, tmp_path):
    """The system's error names what was read first."""
    (tmp_path / "big").write_bytes(b"0" * 9 * PAGE)
    small = tmp_path / "small"
    small.mkdir()
    disk(small, 4 * PAGE)
    with pytest.raises(UserError, match=rf"where: +{small}/copy\n"), atomic_path(small / "copy") as path:
        shutil.copyfile(tmp_path / "big", path)
    with pytest.raises(UserError, match=rf"where: +{small}/text\n"):
        write_text(small / "text", "0" * 9 * PAGE)
