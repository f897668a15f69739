"""The plan of a run outside Snakemake, from the same configuration files and overrides."""

import argparse
from pathlib import Path

import yaml
from snakemake.utils import update_config

from safety_regions.config.load import load_registries, load_run
from safety_regions.config.profiles import config_of, files_of
from safety_regions.errors import UserError, unreadable
from safety_regions.planning.make import make_plan
from safety_regions.planning.plan import Plan
from safety_regions.planning.run_words import DEFAULT, UNNAMED, RunWords


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """The options by which one tells `snakemake` which run is meant, and on which machine."""
    parser.add_argument(
        "--configfile",
        nargs="+",
        type=Path,
        default=[Path(DEFAULT)],
        metavar="FILE",
        help=f"the run's configuration, as for snakemake (default {DEFAULT})",
    )
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="overrides, as for snakemake")
    parser.add_argument(
        "--profile", action="append", metavar="FOLDER", help="take the machine from this profile, as snakemake does"
    )


def plan_of(arguments: argparse.Namespace) -> Plan:
    """The plan of the run that the options name, as Snakemake would make it."""
    overrides = config_of(files_of(arguments.profile)) if arguments.profile else {}
    if arguments.config:
        from snakemake.cli import parse_config

        try:
            update_config(overrides, parse_config(arguments.config))
        except ValueError as error:
            raise UserError(str(error), where="--config", expected="KEY=VALUE, as for snakemake") from None
    return plan_of_files(arguments.configfile, overrides, RunWords.of(arguments))


def plan_of_files(files: list[Path], overrides: dict | None = None, named: RunWords = UNNAMED) -> Plan:
    """The plan of configuration files, later ones laid over earlier ones."""
    merged: dict = {}
    for file in files:
        try:
            text = file.read_bytes()
        except OSError as error:
            raise unreadable(error, file, "call this where the Snakefile is, as you call snakemake") from None
        update_config(merged, _mapping(text))
    update_config(merged, overrides or {})
    run = load_run(merged, files, overrides)
    return make_plan(run, load_registries(run, files, overrides), named)


def _mapping(text: bytes) -> dict:
    # A mistake in the text is for `load_run` to report, with its line.
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
