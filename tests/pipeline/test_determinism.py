"""What docs/determinism.md says that changes no byte, where no other test shows it; the page names tests that are
there.
"""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from pipeline import ROOT, WorkingCopy
from random_models import random_model, random_samples

from safety_regions.config.methods import options_of
from safety_regions.kernels import THREADS
from safety_regions.methods.interface import method
from safety_regions.overlap.counts import count
from safety_regions.overlap.tables import nway_table, pair_table, size_table
from safety_regions.planning.environment import JOB, OFFLINE, assignments
from safety_regions.regions.format import write_region
from safety_regions.regions.select import Cut, select
from safety_regions.table_files import write_parquet
from safety_regions.warm import start as warm

PAGE = (ROOT / "docs/determinism.md").read_text("utf-8")
GRID = (0.01, 0.05, 0.2)
SHAPES = {f"{layer}.{kind}": (31 + layer, 67) for layer in range(3) for kind in ("q", "o", "up")}
A_USERS = {
    "OMP_NUM_THREADS": "4",
    "MKL_NUM_THREADS": "3",
    "OPENBLAS_NUM_THREADS": "2",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONWARNINGS": "error",
    "PYTHONUTF8": "0",
    "NUMBA_DISABLE_JIT": "1",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
}


def test_the_tests_that_the_page_names_are_there():
    named = re.findall(r"`tests/([\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 10
    for file, name in named:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text("utf-8"), (file, name)


SEEN_BY_A_JOB = """
import sys, matplotlib, numba, torch
print(torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32, numba.config.DISABLE_JIT)
print(matplotlib.get_backend(), sys.flags.no_user_site, sys.flags.utf8_mode, sys.warnoptions)
"""


def test_jobs_have_one_thread_and_nothing_of_the_user_whatever_the_environment_says():
    """The shell of a notebook names a backend that is not installed; packages of ~/.local go before those of conda."""
    command = f"{assignments(JOB)} {sys.executable} -c '{SEEN_BY_A_JOB}'"
    done = subprocess.run(["bash", "-c", command], env=os.environ | A_USERS, capture_output=True, text=True)
    assert done.stdout == "1 False 0\nagg 1 1 []\n", done.stderr


def test_every_job_of_a_run_was_told_so(finished_run: WorkingCopy):
    """Snakemake keeps the command of each job."""
    kept = [json.loads(path.read_bytes()) for path in (finished_run.folder / ".snakemake/metadata").iterdir()]
    commands = {job["rule"]: job["shellcmd"] for job in kept}
    assert {"fetch_dataset", "train_model", "measure", "select_regions", "overlap", "evaluate"} <= commands.keys()
    for rule, command in commands.items():
        plainly = f"{sys.executable} scripts/"
        forked = f"{warm.words(sys.executable)} scripts/"
        assert f"{assignments(JOB)} {plainly}" in command or f"{assignments(OFFLINE | JOB)} {forked}" in command, rule


def regions(folder, scope):
    """Region files of five sets, selected from random scores with ties."""
    folder.mkdir()
    for number in range(5):
        draw = np.random.default_rng(number)
        scores = {name: draw.integers(0, 2000, shape).astype(np.float32) for name, shape in SHAPES.items()}
        cut = Cut(GRID, scope)
        write_region(
            folder / f"{number}", select(list(scores), scores.__getitem__, cut), recipe_digest="0" * 64, cut=cut
        )
    return {str(number): folder / f"{number}" for number in range(5)}


def tables(folder, made):
    safety, utility = ({name: made[name] for name in names} for names in ("012", "34"))
    counts = count(safety, utility, 0.05, [[0, 1, 2], [2, 0, 1]])
    for name, table in {
        "pairs": pair_table(counts, 0.05),
        "nway": nway_table(counts),
        "sizes": size_table(counts, 0.05),
    }.items():
        write_parquet(table, folder / f"{name}.parquet")


@pytest.mark.parametrize("scope", ["matrix", "model"])
def test_threads_of_our_loops_change_no_byte_of_regions_and_tables(tmp_path, monkeypatch, scope):
    made = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv(THREADS, threads)
        folder = tmp_path / threads
        tables(folder, regions(folder, scope))
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert len(made[0]) == 8
    assert made[1] == made[0] and made[2] == made[0]


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-4), (torch.bfloat16, 0.01)])
@pytest.mark.parametrize("name", ["snip", "wanda"])
def test_another_batch_size_moves_few_elements_over_the_cut(name, dtype, most):
    loaded, options, of = random_model("llama", dtype=dtype), options_of(name, {}), method(name)
    found = []
    for batch_tokens in (1, 160):
        statistics = of.measure(loaded, random_samples(12), options, batch_tokens=batch_tokens)
        found.append(dict(of.levels(loaded, statistics, options, Cut(GRID, "matrix"))))
    moved = sum(int((found[0][matrix] != levels).sum()) for matrix, levels in found[1].items())
    assert moved <= most * sum(levels.size for levels in found[1].values())
