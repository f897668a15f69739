"""config/datasets.yaml: every entry is valid, pinned and named after nothing else."""

from pathlib import Path

import pytest
import yaml

from safety_regions.config.datasets import DatasetSpec
from safety_regions.data import synthetic
from safety_regions.data.fetch import fetch
from safety_regions.errors import UserError
from safety_regions.planning.recipes.data import dataset_recipe

REGISTRY = yaml.safe_load((Path(__file__).parents[2] / "config" / "datasets.yaml").read_text(encoding="utf-8"))
STUDY = {
    "advbench",
    "harmbench",
    "jbb",
    "strongreject",
    "maliciousinstruct",
    "xstest_unsafe",
    "do_not_answer",
    "catqa",
    "ailuminate",
    "hh_harmless",
}


@pytest.mark.parametrize("name", REGISTRY)
def test_every_entry_is_valid_and_reads_no_column_of_targets(name):
    spec = DatasetSpec.model_validate(REGISTRY[name])
    columns = [spec.response, *([spec.prompt] if isinstance(spec.prompt, str) else spec.prompt)]
    assert not [column for column in columns if column and "target" in column.lower()]
    assert dataset_recipe(name, spec).dataset == name


def test_the_ten_safety_sets_are_there_with_their_numbers_of_rows():
    assert {name for name in STUDY if REGISTRY[name]["rows"] >= 100} == STUDY


def test_raw_files_are_addressed_by_commit():
    urls = [entry["source"]["url"] for entry in REGISTRY.values() if entry["source"]["kind"] == "url"]
    assert urls
    for url in urls:
        assert len(url.removeprefix("https://raw.githubusercontent.com/").split("/")[2]) == 40, url


def test_a_row_of_an_embedded_set_is_named_by_its_number_from_1():
    name = synthetic.DATASETS[0]
    with pytest.raises(UserError) as error:
        fetch(name, DatasetSpec.model_validate(REGISTRY[name] | {"prompt": "no_such_column"}))
    assert error.value.where.endswith(", row 1")


@pytest.mark.parametrize("name", synthetic.DATASETS)
def test_every_embedded_set_is_fetched_with_responses(name):
    fetched = fetch(name, DatasetSpec.model_validate(REGISTRY[name]))
    assert fetched.facts["n_rows"] == len(synthetic.rows(name))
    assert fetched.facts["n_without_response"] == 0
