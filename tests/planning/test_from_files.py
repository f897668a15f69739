"""Which run is meant outside Snakemake: the words for it, and files that cannot be read."""

import argparse
from pathlib import Path

import pytest

from safety_regions.errors import UserError
from safety_regions.planning.from_files import add_config_options, plan_of_files


def test_words_are_those_of_snakemake_and_without_any_the_demo_is_meant():
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    asked = parser.parse_args([])
    assert asked.configfile == [Path("config/demo.yaml")] and not asked.config and not asked.profile
    asked = parser.parse_args(["--configfile", "a", "b", "--config", "x=1", "y=2", "--profile", "p", "--profile", "q"])
    assert asked.configfile == [Path("a"), Path("b")]
    assert (asked.config, asked.profile) == (["x=1", "y=2"], ["p", "q"])
    said = parser.format_help()
    assert all(f"--{word}" in said for word in ("configfile FILE", "config KEY=VALUE", "profile FOLDER"))


def test_a_file_that_is_not_there_is_named_with_the_folder_to_call_this_in(tmp_path):
    with pytest.raises(UserError) as error:
        plan_of_files([tmp_path / "nowhere.yaml"])
    assert error.value.where == str(tmp_path / "nowhere.yaml") and "where the Snakefile is" in error.value.hint


@pytest.mark.parametrize("text", ["a: [", "a: 2024-13-45", "a: " + "[" * 5000, "[]"])
def test_a_file_that_is_no_configuration_is_named(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"run\.yaml"):
        plan_of_files([path])
