"""The command `safety-regions`, also as `python -m safety_regions`: what one does with results besides making them."""

import argparse
from importlib import import_module

from safety_regions.errors import run_main

COMMANDS = {
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


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command and its options. Only the module of the command that is asked for is imported."""
    parser = argparse.ArgumentParser(prog="safety-regions", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        commands.add_parser(name, help=what, description=what, add_help=False)
    chosen, rest = parser.parse_known_args(words)
    own = argparse.ArgumentParser(prog=f"safety-regions {chosen.command}", description=COMMANDS[chosen.command])
    module = import_module(f"safety_regions.commands.{chosen.command}")
    module.configure(own)
    arguments = own.parse_args(rest)
    arguments.run = module.run
    return arguments


def main() -> None:
    """Run the command; a mistake of the user ends it with one message and exit code 1."""
    run_main(_main)


def _main() -> None:
    arguments = parse()
    if code := arguments.run(arguments):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
