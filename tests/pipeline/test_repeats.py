"""The same configuration gives the same bytes: in any folder, in one go or bit by bit, there and back."""

import contextlib
from pathlib import Path

import pytest
from pipeline import WorkingCopy, job_table, new_working_copy

ADDED = "syn_build"
SPARED = ("models", "prompts", "responses", "statistics")
TABLES = ("--until", "overlap", "evaluate")
"""Figures and report follow from tables, and other tests compare their bytes; drawing takes half of a run's time."""


@pytest.fixture(scope="session")
def run_with_one_set_more(tmp_path_factory: pytest.TempPathFactory) -> WorkingCopy:
    """A run from scratch with one safety set more, up to its tables, in a folder whose name needs quoting."""
    copy = new_working_copy(tmp_path_factory.mktemp("pipeline") / "with space ü")
    copy.add_safety_set(ADDED)
    copy.run(*TABLES)
    return copy


def test_two_runs_from_scratch_give_the_same_bytes(finished_run: WorkingCopy, run_with_one_set_more: WorkingCopy):
    one, other = finished_run.made(), run_with_one_set_more.made()
    both = set(one) & set(other)
    assert {name.split("/")[0] for name in both} == {
        "datasets",
        "prompts",
        "models",
        "adapters",
        "responses",
        "statistics",
        "regions",
        "evaluate",
    }
    assert {name: one[name] for name in both} == {name: other[name] for name in both}


def test_a_set_added_later_gives_the_bytes_of_a_run_from_scratch(copy: WorkingCopy, run_with_one_set_more: WorkingCopy):
    """By a colleague who has regions and reports only: what is in place stays, and of what is gone comes back no more
    than the new set is made with."""
    copy.remove(*SPARED)
    before = copy.times()
    copy.add_safety_set(ADDED)
    printed = copy.run(*TABLES)

    made, expected = copy.made(), run_with_one_set_more.made()
    assert {name: copy.times()[name] for name in before} == before
    assert {name: made[name] for name in made if name in expected} == {n: expected[n] for n in expected if n in made}
    assert {Path(name).parts[0] for name in set(expected) - set(made)} == {"prompts", "responses", "statistics"}
    assert not [name for name in set(expected) - set(made) if ADDED in name]
    regions = [a for a in copy.plan().made.values() if a.kind == "region"]
    assert {a.path for a in regions if f"{a.path}: in place" in printed} == {
        a.path for a in regions if f"/{ADDED}" not in a.path
    }


def test_a_path_that_needs_quoting_is_no_hindrance(run_with_one_set_more: WorkingCopy):
    assert run_with_one_set_more.planned_jobs(*TABLES) == {}


def test_going_back_to_an_earlier_configuration_runs_nothing_and_says_where_its_report_is(copy: WorkingCopy):
    """On the way there, a method left out, only the comparison of those that are left is made."""
    first = copy.plan().targets[0].path
    copy.change(methods__wanda=None)
    second = copy.plan().targets[0].path
    assert f"Report: {second}/ (to be made)" in copy.run("--dry-run")
    printed, plan = copy.run(), copy.plan()
    compared = plan.batch_of[plan.overlaps["micro", "snip"].path].artifacts
    assert [a.kind for a in compared if f"{a.path}: in place" not in printed] == ["across"]
    copy.change(methods__wanda={})
    printed = copy.run("--dry-run")
    assert job_table(printed) == {}
    assert f"Report: {first}/ (in place)" in printed and second not in printed


def test_what_the_command_line_asks_for_is_made_again_with_all_it_needs(copy: WorkingCopy):
    """The report is in place, but the figures, the tables and a region before them are gone."""
    before = copy.made()
    copy.remove("figures", "overlap")
    region = next(a for a in copy.plan().made.values() if a.kind == "region" and "/snip/syn_steal" in a.path)
    for path in (region.path, region.receipt):
        (copy.folder / path).unlink()
    plan = copy.plan()
    with contextlib.chdir(copy.folder):
        figures = plan.batch_of[plan.figures["micro", "snip"].path].manifest
    assert copy.planned_jobs(figures) == {"measure": 1, "overlap": 1, "draw_figures": 1}
    copy.run(figures)
    made = copy.made()
    assert {name: before[name] for name in made} == made
    assert region.path.removeprefix("results/") in made
