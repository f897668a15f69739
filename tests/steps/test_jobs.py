"""Batched jobs: what is in place is left alone, what failed can be resumed, the manifest comes last."""

import json

import pytest
from some_recipes import SOME, some_recipe

from safety_regions.errors import UserError
from safety_regions.planning.recipes.tables import AcrossRecipe, OverlapRecipe
from safety_regions.steps.entry import Entry
from safety_regions.steps.jobs import by_kind, read_job, run_entries, run_groups


def recipe(i):
    return some_recipe("prompts", seed=i).as_json()


def entries(folder, n=3):
    content = [{"path": str(folder / f"{i}.txt"), "recipe": recipe(i), "inputs": {}} for i in range(n)]
    return read_job(json.dumps({"entries": content}))


def make(entry):
    entry.path.write_text(str(entry.recipe.seed))
    entry.done({})


def test_every_entry_is_made_and_listed(tmp_path):
    run_entries(entries(tmp_path), make, tmp_path / "manifest.json")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest) == {str(tmp_path / f"{i}.txt") for i in range(3)}


def test_a_failed_job_resumes_where_it_was(tmp_path):
    def fail_at_last(entry):
        if entry.recipe.seed == 2:
            raise RuntimeError
        make(entry)

    with pytest.raises(RuntimeError):
        run_entries(entries(tmp_path), fail_at_last, tmp_path / "manifest.json")
    assert not (tmp_path / "manifest.json").exists()
    made = []
    run_entries(entries(tmp_path), lambda e: (made.append(e.recipe.seed), make(e)), tmp_path / "manifest.json")
    assert made == [2]


def test_what_is_made_together_is_what_is_missing_of_a_group(tmp_path, capsys):
    """A group is finished before the next; what a killed job had made of it stays."""
    first, second, third, fourth = entries(tmp_path, 4)
    make(second)
    groups, made = [[first, second, third], [fourth]], []

    def make_all(missing):
        made.append([entry.recipe.seed for entry in missing])
        if fourth in missing and len(made) == 2:
            raise RuntimeError
        for entry in missing:
            make(entry)

    with pytest.raises(RuntimeError):
        run_groups(groups, make_all, tmp_path / "manifest.json")
    assert not (tmp_path / "manifest.json").exists()
    run_groups(groups, make_all, tmp_path / "manifest.json")
    assert made == [[0, 2], [3], [3]]
    assert len(json.loads((tmp_path / "manifest.json").read_text())) == 4
    assert f"[2/4] {second.path}: in place" in capsys.readouterr().err


def test_a_damaged_artifact_stops_the_job_and_is_named(tmp_path):
    run_entries(entries(tmp_path), make, tmp_path / "manifest.json")
    (tmp_path / "1.txt").write_text("damaged")
    with pytest.raises(UserError, match=r"(?s)altered or damaged.*1\.txt"):
        run_entries(entries(tmp_path), make, tmp_path / "manifest.json")


def test_each_kind_is_made_its_own_way_and_others_are_refused(tmp_path):
    made = []
    makers = {OverlapRecipe: lambda entry: made.append("a table"), AcrossRecipe: lambda entry: made.append("another")}
    make_either = by_kind(makers)

    def job(*recipes):
        entries = [{"path": str(tmp_path), "recipe": recipe, "inputs": {}} for recipe in recipes]
        return read_job(json.dumps({"entries": entries}), *makers)

    for entry in job(SOME["overlap"].as_json(), SOME["across"].as_json()):
        make_either(entry)
    assert made == ["a table", "another"]
    for other in (SOME["figures"].as_json(), SOME["overlap"].as_json() | {"version": 0}, {}):
        with pytest.raises(UserError, match="a recipe of"):
            job(other)


def test_an_input_of_another_recipe_is_refused(tmp_path):
    (source,) = entries(tmp_path, 1)
    make(source)
    entry = Entry("x", some_recipe("prompts", rows="0" * 64, earlier=None), {"rows": source.path})
    with pytest.raises(UserError, match="made by recipe"):
        entry.checked("rows")
    assert Entry("x", some_recipe("prompts", rows=source.digest), {"rows": source.path}).checked("rows") == source.path


def test_an_input_that_is_not_given_or_not_in_the_recipe_is_named(tmp_path):
    (source,) = entries(tmp_path, 1)
    make(source)
    with pytest.raises(UserError, match="no 'rows' in the inputs"):
        Entry("x", some_recipe("prompts"), {}).checked("rows")
    with pytest.raises(UserError, match="no 'adapter' in the recipe"):
        Entry("x", some_recipe("evaluate", adapter=None), {"adapter": source.path}).checked("adapter")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"entries": [{}]}', '{"entries": 3}', "@nowhere.json"])
def test_what_is_not_a_job_is_refused(text):
    with pytest.raises(UserError, match="not a job"):
        read_job(text)
