"""Options of the command `safety-regions`."""

import argparse
from importlib import import_module
from importlib.metadata import version

import pytest
from pipeline import ROOT

from safety_regions.__main__ import COMMANDS, parse
from safety_regions.errors import UserError

AS_SNAKEMAKE = {"--configfile", "--config"}
"""Of these Snakemake takes the last, and so do we."""


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_of_many_values_may_be_said_twice_and_none_is_lost(command):
    parser = argparse.ArgumentParser()
    import_module(f"safety_regions.commands.{command}").configure(parser)
    many = [
        action.option_strings[0]
        for action in parser._actions
        if action.option_strings and action.nargs in ("+", "*") and action.option_strings[0] not in AS_SNAKEMAKE
    ]
    for option in many:
        values = vars(parser.parse_args([option, "a=b", option, "c=d"]))
        assert len(values[option.removeprefix("--").replace("-", "_")]) == 2, option


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit, match="0"):
        parse(["--version"])
    assert capsys.readouterr().out == f"safety-regions {version('safety-regions')}\n"


def test_a_misspelt_command_is_told_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'recompute'"):
        parse(["recomptue"])


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example_that_is_taken(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        parse([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    words = said.split(f"Example: safety-regions {command} ")[1].split()
    assert parse([command, *words]).run
    named = [word for word in words if word.startswith(("config/", "profiles/", "figures/"))]
    assert all((ROOT / name).exists() for name in named)
