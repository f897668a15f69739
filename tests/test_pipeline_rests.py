"""A finished run is whole, and stays finished whatever happens to times, metadata, sources and remarks."""

import contextlib
import os
import random
import shutil
from pathlib import Path

import yaml
from pipeline import WorkingCopy

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


def test_remarks_in_the_code_of_a_method_plan_nothing(copy: WorkingCopy, source: Path):
    path = source / "methods/snip.py"
    path.write_text(path.read_text() + "\n# a remark\n")
    assert copy.planned_jobs() == {}
