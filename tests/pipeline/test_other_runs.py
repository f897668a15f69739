"""Runs that ask for less, or for something else, go to their end, and a second time there is nothing to do."""

import contextlib
from typing import Any

import numpy as np
from pipeline import WorkingCopy, only

from safety_regions.api import load_region
from safety_regions.artifacts import receipts

LEAST: dict[str, Any] = {"datasets__safety": ["syn_steal", "syn_trick"]} | dict.fromkeys(
    ("replicates", "controls", "evaluate", "constrain")
)
"""Two safety sets, no replicates, nothing trained: the least that a run may have."""


def test_another_policy_and_scope_run_to_their_report(copy: WorkingCopy) -> None:
    """One set per job."""
    copy.change(
        **LEAST,
        responses={"policy": "dataset"},
        thresholds__scope="layer",
        methods=only("safeneuron"),
        machine={"datasets_per_job": 1, "device": "cpu"},
    )
    copy.run()
    report = copy.folder / copy.plan().targets[0].path
    assert "responses: dataset, scope: layer" in (report / "summary.md").read_text()
    assert copy.planned_jobs() == {}


def test_one_text_for_all_responses_and_the_top_of_each_row_make_regions(copy: WorkingCopy) -> None:
    copy.change(
        **LEAST, goal="regions", responses={"policy": "template"}, thresholds__scope="row", methods=only("snip")
    )
    copy.run()
    for region in copy.plan().targets:
        assert load_region(copy.folder / region.path).header.scope == "row"
    assert copy.planned_jobs() == {}


def test_region_files_alone_are_taken_from_what_is_there_and_refined(copy: WorkingCopy) -> None:
    """Literally: what is in the safety region at q, and in no utility region at p."""
    copy.change(goal="regions")
    assert copy.planned_jobs() == {}
    copy.change(goal="refined")
    assert copy.planned_jobs() == {"refine_regions": 1}
    said = copy.run()
    assert "Region files: results/refined/micro/snip/ (0 of" in said and "report.html" not in said
    assert copy.planned_jobs() == {}
    plan = copy.plan()
    assert plan.targets
    with contextlib.chdir(copy.folder):
        for refined in plan.targets:
            assert receipts.check(refined.path, refined.digest)
            raw, *utility = (load_region(source.path) for source in refined.inputs.values())
            found, p = load_region(refined.path), plan.run.thresholds.p
            for q in found.grid:
                for name in found.names:
                    outside = [~of.mask(name, p) for of in utility]
                    assert (found.mask(name, q) == np.logical_and.reduce([raw.mask(name, q), *outside])).all()
