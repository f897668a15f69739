"""A recipe changes with what changes rows, and with nothing else."""

import hashlib
import subprocess
import sys

import pytest

from safety_regions.config.datasets import DatasetSpec
from safety_regions.errors import UserError
from safety_regions.files import canonical_json
from safety_regions.planning.recipes.data import (
    DatasetRecipe,
    OfSet,
    PromptOverlapRecipe,
    dataset_recipe,
    prompts_recipe,
)
from safety_regions.steps.arguments import read_recipe

SPEC = {"source": {"kind": "synthetic", "name": "syn_build"}, "licence": "MIT", "citation": "us"}


def recipe(**changes) -> DatasetRecipe:
    return dataset_recipe("toy", DatasetSpec.model_validate({**SPEC, **changes}))


def test_licence_and_citation_change_no_recipe():
    assert recipe(licence="CC0", citation="them") == recipe()


def test_a_delimiter_is_in_the_recipe_where_it_is_no_comma(tmp_path):
    url = {"kind": "url", "url": "https://example.org/x", "sha256": "0" * 64, "format": "csv"}
    assert recipe(source=url | {"delimiter": ","}).as_json() == recipe(source=url).as_json()
    assert "delimiter" not in recipe(source=url).as_json()["spec"]["source"]
    (tmp_path / "x").write_text("q\tlabel\n")
    for source in (url, {"kind": "local", "path": str(tmp_path / "x"), "format": "csv"}):
        made = recipe(source=source | {"delimiter": "\t"})
        assert read_recipe(canonical_json(made.as_json()), DatasetRecipe) == made
        assert made.spec["source"]["delimiter"] == "\t"
    with pytest.raises(ValueError, match="files of format csv, not txt"):
        recipe(source=url | {"delimiter": ";", "format": "txt"})


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "q"},
        {"response": "r"},
        {"keep": {"a": ["b"]}},
        {"extract": "single_turn"},
        {"source": {"kind": "synthetic", "name": "syn_spy"}},
    ],
)
def test_what_changes_rows_changes_the_recipe(change):
    assert recipe(**change).digest != recipe().digest


def test_a_default_that_is_written_out_changes_no_recipe():
    assert recipe(prompt="prompt", drop_words=[], extract="none") == recipe()


def test_a_local_file_enters_with_its_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_bytes(b"one\n")
    local = {"kind": "local", "path": "mine.txt", "format": "txt"}
    assert recipe(source=local).sha256 == hashlib.sha256(b"one\n").hexdigest()
    with pytest.raises(UserError, match="file missing") as error:
        recipe(source={**local, "path": "mien.txt"})
    assert "'mine.txt'" in error.value.hint


def test_a_pinned_local_file_may_be_absent_and_may_not_be_another(tmp_path, monkeypatch):
    """What others made of the file can then be planned, and so pulled, where the file is not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_bytes(b"one\n")
    local = {"kind": "local", "path": "mine.txt", "format": "txt"}
    pinned = local | {"sha256": hashlib.sha256(b"one\n").hexdigest()}
    assert recipe(source=pinned).digest == recipe(source=local).digest
    made = recipe(source=pinned).digest
    (tmp_path / "mine.txt").write_bytes(b"two\n")
    with pytest.raises(UserError, match="sha256 ") as error:
        recipe(source=pinned)
    assert pinned["sha256"] in error.value.expected
    (tmp_path / "mine.txt").unlink()
    assert recipe(source=pinned).digest == made


def test_an_unknown_synthetic_set_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"did you mean 'syn_build'\?"):
        recipe(source={"kind": "synthetic", "name": "syn_biuld"})


def test_a_recipe_survives_json():
    made = recipe(keep={"a": ["b"]}, prompt=["x", "y"])
    assert read_recipe(canonical_json(made.as_json()), DatasetRecipe) == made


def test_what_has_no_influence_on_a_sample_stays_out_of_its_recipe():
    common = {"n_samples": 4, "seed": 0}
    plain = prompts_recipe("toy", "d", **common)
    assert plain == prompts_recipe("toy", "d", **common, near_duplicate=0.9, earlier=["e"])
    within = prompts_recipe("toy", "d", **common, deduplicate="within", near_duplicate=0.9, earlier=["e"])
    assert within.near_duplicate == 0.9
    assert "earlier" not in within.as_json()
    assert prompts_recipe("toy", "d", **common, deduplicate="across", earlier=["e"]).earlier == ["e"]


def test_the_order_of_sets_is_part_of_the_overlap_recipe():
    sets = [OfSet("a", "1"), OfSet("b", "2")]
    there, back = (PromptOverlapRecipe(prompts=prompts, near_duplicate=0.6) for prompts in (sets, sets[::-1]))
    assert there.digest != back.digest


@pytest.mark.parametrize(
    "text", ['{"kind": "prompts", "version": 1}', '{"kind": "dataset", "version": 999}', "[]", "{", "@nowhere"]
)
def test_a_recipe_of_another_kind_or_version_is_refused(text):
    with pytest.raises(UserError):
        read_recipe(text, DatasetRecipe)


def test_making_recipes_imports_nothing_heavy():
    code = (
        "import sys, safety_regions.planning.recipes.parse as r;"
        " print(sorted({'torch', 'pandas', 'datasets', 'pyarrow', 'requests'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
