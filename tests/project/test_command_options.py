"""Options of the command `safety-regions`."""

import argparse
from importlib import import_module

import pytest

from safety_regions.__main__ import COMMANDS

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
