"""The command `safety-regions`, also as `python -m safety_regions`: what one does with results besides making them."""

import argparse
import sys
from importlib import import_module
from importlib.metadata import version

from safety_regions.errors import UserError, did_you_mean, run_main

COMMANDS = {
    "init": "Write a registry entry and a run for a model of your own, after a look at it, and say what it will cost.",
    "estimate": "Say what a run will cost, before anything is submitted: GPU hours, memory, disk.",
    "status": "Show what of a run is done, running, waiting or failed, and why.",
    "publish": "Check what a run made, hand its bytes to DVC's remote, and stage receipts,"
    " pointers and tables for git.",
    "pull": "Bring what a run needs and others have published, and check it.",
    "verify": "Compare every artifact with its receipt: what is missing, foreign, altered, or made by other code.",
    "prune": "List what no configuration refers to any more; remove it on request.",
    "provenance": "Say what a figure, a table or an artifact was made from, down to data and models.",
    "recompute": "Make one published artifact again and compare its bytes with those published.",
    "accept": "Note that today's code makes the same bytes as the code before it.",
    "checklist": "Write the table that a paper's reproducibility checklist asks for, from receipts.",
}
"""Each is the module of its name in `safety_regions.commands`, with `configure(parser)` and `run(arguments)`."""
EXAMPLES = {
    "init": "org/name --name my-model --like config/paper.yaml",
    "estimate": "--profile profiles/slurm --configfile config/paper.yaml",
    "status": "--configfile config/study.yaml",
    "publish": "--configfile config/study.yaml",
    "pull": "--configfile config/study.yaml",
    "verify": "--remote",
    "prune": "--keep config/demo.yaml config/study.yaml",
    "provenance": "figures/study/headline.csv",
    "recompute": "results/regions/MODEL/METHOD/SET.DIGEST.safetensors --configfile config/study.yaml",
    "accept": "--moved OLD=NEW",
    "checklist": "--configfile config/study.yaml",
}
"""What may stand behind each, for its `--help`."""


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command and its options. Only the module of the command that is asked for is imported."""
    parser = argparse.ArgumentParser(
        prog="safety-regions",
        description=__doc__,
        epilog="safety-regions COMMAND --help tells of the options of each, with an example.",
    )
    parser.add_argument("--version", action="version", version=f"safety-regions {version('safety-regions')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        commands.add_parser(name, help=what, description=what, add_help=False)
    _refuse_unknown(sys.argv[1:] if words is None else words)
    chosen, rest = parser.parse_known_args(words)
    own = argparse.ArgumentParser(
        prog=f"safety-regions {chosen.command}",
        description=COMMANDS[chosen.command],
        epilog=f"Example: safety-regions {chosen.command} {EXAMPLES[chosen.command]}",
    )
    module = import_module(f"safety_regions.commands.{chosen.command}")
    module.configure(own)
    arguments = own.parse_args(rest)
    arguments.run = module.run
    return arguments


def _refuse_unknown(words: list[str]) -> None:
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise UserError(f"no command {words[0]!r}", where="safety-regions", hint=did_you_mean(words[0], COMMANDS))


def main() -> None:
    """Run the command; a mistake of the user ends it with one message and exit code 1."""
    run_main(_main)


def _main() -> None:
    arguments = parse()
    if code := arguments.run(arguments):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
