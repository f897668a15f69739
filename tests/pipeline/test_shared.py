"""What a colleague has after `git clone`: with a pull no job of weight runs, without one only what git's tables suffice
for.
"""

import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import ROOT, SNAKEMAKE, WorkingCopy, only, own_rows
from sharing import REMOTE, own_settings

DRAWN = {"draw_figures", "write_report"}
"""Jobs that make figures and the report again from tables."""


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)


def do(folder: Path, *words: str) -> str:
    """Run a program, which must succeed."""
    done = command(folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def share(copy: WorkingCopy, *words: str) -> str:
    """`safety-regions` in a working copy."""
    return do(copy.folder, sys.executable, "-m", "safety_regions", *words, "--configfile", "config/micro.yaml")


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with own_settings(tmp_path_factory.mktemp("settings")):
        yield


@pytest.fixture(scope="session")
def origin(settings: None, finished_run: WorkingCopy, tmp_path_factory: pytest.TempPathFactory) -> WorkingCopy:
    """A finished run that was published and committed; the remote lies beside it. Only to be cloned."""
    copy = finished_run.copy_to(tmp_path_factory.mktemp("shared") / "origin")
    for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore", "dvc.yaml"):
        (copy.folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy.folder / name)
    remote = REMOTE.replace("../../remote", str(copy.folder.with_name("remote")))
    (copy.folder / ".dvc/config").write_text((ROOT / ".dvc/config").read_text() + remote)
    do(copy.folder, "git", "init", "--quiet", "--initial-branch=main")
    share(copy, "publish")
    do(copy.folder, "git", "add", ".")
    do(copy.folder, "git", "commit", "--quiet", "-m", "Publish micro")
    return copy


@pytest.fixture
def clone(origin: WorkingCopy, tmp_path: Path) -> WorkingCopy:
    """A fresh clone, nothing pulled."""
    do(tmp_path, "git", "clone", "--quiet", str(origin.folder), "clone")
    return WorkingCopy(tmp_path / "clone")


def shuffle_times(copy: WorkingCopy, seed: int) -> None:
    draw = random.Random(seed)
    for path in copy.folder.rglob("*"):
        if ".git" not in path.parts and ".dvc" not in path.parts:
            moment = draw.randrange(10**9, 2 * 10**9)
            os.utime(path, (moment, moment), follow_symlinks=False)


@pytest.mark.parametrize("links", ["copy", "hardlink", "symlink"])
def test_after_a_pull_no_job_of_weight_is_planned_whatever_the_times_are(clone: WorkingCopy, links: str):
    do(clone.folder, sys.executable, "-m", "dvc", "config", "--local", "cache.type", links)
    share(clone, "pull", "--all")
    for seed in range(2):
        shuffle_times(clone, seed)
        assert set(clone.planned_jobs()) == DRAWN
        # The second time with what the first one left in .snakemake.
        assert (clone.folder / ".snakemake").is_dir()


def test_a_clone_makes_figures_and_report_from_the_tables_in_git_alone(clone: WorkingCopy, finished_run: WorkingCopy):
    """Nothing is pulled; the bytes are those of the run that was published."""
    assert set(clone.planned_jobs()) == DRAWN
    said = clone.run().rstrip().splitlines()
    assert said[-1] == f"All of it: {clone.plan().targets[0].path}/report.html"
    assert any(line.startswith("- How far do the regions of different safety sets overlap?") for line in said)
    made, expected = clone.made(), finished_run.made()
    assert {name.split("/")[0] for name in made if not name.endswith((".dvc", ".receipt.json"))} == {
        "prompt_overlap",
        "overlap",
        "replicates",
        "across",
        "constrain",
        "evaluate",
        "curves",
        "figures",
        "report",
    }
    assert {name: made[name] for name in made if name in expected} == {n: expected[n] for n in expected if n in made}
    report = clone.plan().targets[0].path.removeprefix("results/")
    assert f"{report}/summary.md" in made
    shuffle_times(clone, 0)
    assert clone.planned_jobs() == {}


def type_in(folder: Path, line: str, *more: str) -> subprocess.CompletedProcess[str]:
    """A command of a hint, word for word, with the programs of these tests."""
    line = line.replace("safety-regions ", f"{sys.executable} -m safety_regions ").replace(
        "snakemake ", f"{SNAKEMAKE} "
    )
    return command(folder, *shlex.split(line), *more)


@pytest.mark.parametrize(
    "words",
    [
        ("--config", "machine={device: cpu}", "evaluate={n_prompts: 3}", "--profile", "profiles/local"),
        ("results/models/micro.KEY/config.json",),
    ],
)
def test_a_hint_of_a_run_that_lacks_what_was_published_is_right_as_it_stands(clone: WorkingCopy, words):
    words = [word.replace("KEY", clone.plan().models["micro"].key) for word in words]
    told = clone.snakemake("--dry-run", *words)
    assert told.returncode != 0 and "Traceback" not in told.stdout
    pull, again = re.fullmatch(
        r"(safety-regions pull .*) brings them; or .*: (snakemake .*)", re.search(r"hint: +(.*)", told.stdout)[1]
    ).groups()
    anew = type_in(clone.folder, again, "--dry-run")
    assert anew.returncode == 0 and "train_model" in anew.stdout, anew.stdout + anew.stderr
    pulled = type_in(clone.folder, pull)
    assert pulled.returncode == 0 and "Nothing to pull" not in pulled.stdout
    assert clone.snakemake("--dry-run", *words).returncode == 0


def test_the_hint_of_a_recomputation_without_its_inputs_is_right_as_it_stands(clone: WorkingCopy):
    table = clone.plan().overlaps["micro", "wanda"].path
    words = [sys.executable, "-m", "safety_regions", "recompute", table, "--configfile", "config/micro.yaml"]
    told = command(clone.folder, *words)
    assert told.returncode == 1
    (pull,) = re.findall(r"hint: +(safety-regions pull .*) brings those published$", told.stderr, re.MULTILINE)
    assert type_in(clone.folder, pull).returncode == 0
    assert "identical" in do(clone.folder, *words)


def test_who_forgot_to_pull_is_told_what_and_computes_it_only_if_asked(clone: WorkingCopy):
    clone.add_safety_set("syn_build")
    told = clone.snakemake("--dry-run")
    assert told.returncode != 0
    assert "Traceback" not in told.stdout
    assert "are published but not here: " in told.stdout
    assert "safety-regions pull --configfile config/micro.yaml" in told.stdout
    # Regions of the three sets, and the one utility set, that evaluation and comparison need; what they were made from
    # is not named.
    assert "44 region" in told.stdout
    again = clone.planned_jobs("--config", "machine={recompute_published: true}")
    assert {"train_model", "measure"} <= set(again)


def test_after_a_pull_an_added_set_runs_what_is_its_own(clone: WorkingCopy, finished_run: WorkingCopy):
    clone.add_safety_set("syn_build")
    share(clone, "pull")
    assert not (clone.results / "statistics/micro/wanda").joinpath("nothing").exists()
    planned = clone.planned_jobs()
    assert {
        rule: n
        for rule, n in planned.items()
        if rule in ("fetch_dataset", "sample_prompts", "train_model", "train_adapter")
    } == {"fetch_dataset": 1, "sample_prompts": 2 + 5}
    before = clone.times()
    clone.change(methods=only("wanda"), evaluate=None, constrain=None)
    share(clone, "pull")
    clone.run()
    assert {name: time for name, time in clone.times().items() if name in before} == before
    made, old = clone.made(), finished_run.made()
    assert {name: made[name] for name in made if name in old} == {name: old[name] for name in old if name in made}
    assert [name for name in made if "/wanda/syn_build" in name]


CHANGES = {
    "rows": lambda copy: (copy.folder / "own.csv").write_text(own_rows("kettle")),
    "seed": lambda copy: copy.change(datasets__seed=1),
    "hyper-parameter": lambda copy: copy.change(methods__safeneuron={"select": "agreement"}),
    "threshold": lambda copy: copy.change(thresholds__q=0.1),
    "grid": lambda copy: copy.change(thresholds__grid=[0.01, 0.05]),
}


def test_changes_plan_the_same_jobs_after_a_pull_as_where_all_was_made(
    clone: WorkingCopy, finished_run: WorkingCopy, tmp_path: Path
):
    """But for figures and the report, which a clone has not."""
    share(clone, "pull", "--all")
    for name, change in CHANGES.items():
        here, there = clone.copy_to(tmp_path / f"{name} here"), finished_run.copy_to(tmp_path / f"{name} there")
        change(here)
        change(there)
        plans = [{rule: n for rule, n in copy.planned_jobs().items() if rule not in DRAWN} for copy in (here, there)]
        assert plans[0] == plans[1], name


def test_two_branches_back_and_forth_plan_nothing_anew(clone: WorkingCopy):
    share(clone, "pull", "--all")
    do(clone.folder, "git", "checkout", "--quiet", "-b", "other")
    clone.change(thresholds__q=0.1)
    do(clone.folder, "git", "commit", "--quiet", "-am", "Another threshold")
    assert "evaluate" in clone.planned_jobs()
    do(clone.folder, "git", "checkout", "--quiet", "main")
    assert set(clone.planned_jobs()) == DRAWN
