"""A finished run is whole, and stays finished whatever happens to times, metadata, sources and remarks."""

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from pipeline import WorkingCopy, job_table

from safety_regions.artifacts import receipts


def test_every_planned_artifact_is_there_and_agrees_with_its_receipt(finished_run: WorkingCopy):
    plan = finished_run.plan()
    assert {a.kind for a in plan.made.values()} >= {
        "dataset",
        "prompts",
        "model",
        "pairs",
        "adapter",
        "statistics",
        "region",
        "overlap",
        "across",
        "evaluate",
        "figures",
        "layer_curves",
        "prompt_overlap",
        "report",
    }
    with contextlib.chdir(finished_run.folder):
        for artifact in plan.made.values():
            assert receipts.check(artifact.path, artifact.digest).files, artifact.path


def test_nothing_unplanned_is_left_in_results(finished_run: WorkingCopy):
    plan = finished_run.plan()
    owners = [finished_run.folder / a.path for a in plan.made.values()]
    manifests = [finished_run.folder / f"{b.path}.1.json" for b in plan.batches.values()]
    for path in finished_run.results.rglob("*"):
        of_artifact = any(path.is_relative_to(owner) or path.name.startswith(f"{owner.name}.") for owner in owners)
        assert path.is_dir() or of_artifact or path in manifests, path


def test_a_second_run_plans_and_does_nothing(copy: WorkingCopy):
    before = copy.times()
    assert copy.planned_jobs() == {}
    copy.run()
    assert copy.times() == before


def test_a_clone_without_metadata_and_with_random_times_plans_and_does_nothing(copy: WorkingCopy):
    shutil.rmtree(copy.folder / ".snakemake")
    shutil.rmtree(copy.folder / "logs")
    draw = random.Random(0)
    for path in copy.folder.rglob("*"):
        moment = draw.randrange(10**9, 2 * 10**9)
        os.utime(path, (moment, moment), follow_symlinks=False)
    before = copy.times()
    assert copy.planned_jobs() == {}
    copy.run()
    assert copy.times() == before


def test_results_suffice_without_what_they_were_made_from(copy: WorkingCopy):
    copy.remove(
        "models",
        "datasets",
        "prompts",
        "responses",
        "statistics",
        "adapters",
        "regions",
        "overlap",
        "across",
        "evaluate",
        "curves",
        "figures",
        "manifests",
    )
    assert copy.planned_jobs() == {}


def test_comments_and_order_of_keys_plan_nothing(copy: WorkingCopy):
    run = yaml.safe_load(copy.config.read_text())
    turned = {key: dict(reversed(v.items())) if isinstance(v, dict) else v for key, v in reversed(run.items())}
    copy.config.write_text("# a remark\n" + yaml.safe_dump(turned, sort_keys=False, default_flow_style=True))
    assert copy.planned_jobs() == {}


def test_changed_code_plans_nothing_and_is_told_until_it_is_accepted(copy: WorkingCopy, source: Path):
    """Neither a silent reuse nor a silent recomputation; a remark and an import are no change."""
    table, method = source / "overlap/tables.py", source / "methods/snip.py"
    method.write_text(f"{method.read_text()}\n# a remark\n")
    table.write_text(table.read_text().replace("import numpy as np\n", "import os\nimport numpy as np\n"))
    quiet = copy.run("--dry-run")
    assert job_table(quiet) == {} and "other code" not in quiet

    table.write_text(table.read_text() + "\nMORE = 1\n")
    method.write_text(method.read_text() + "\nMORE = 1\n")
    told = copy.run("--dry-run")
    (line,) = [line for line in told.splitlines() if "other code" in line]
    assert job_table(told) == {}
    assert "overlap 5" in line and "region" in line and "methods.snip, overlap.tables changed" in line

    def command(*words: str) -> str:
        """What `safety-regions` prints."""
        program = [sys.executable, "-m", "safety_regions", *words]
        done = subprocess.run(program, cwd=copy.folder, env=copy.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    verified = command("verify")
    assert re.search(r"overlap\.tables has changed since \d+ artifacts", verified) and "methods.snip has" in verified
    assert "methods.snip, overlap.tables" in command("accept")
    assert "other code" not in copy.run("--dry-run") and "warning" not in command("verify")
