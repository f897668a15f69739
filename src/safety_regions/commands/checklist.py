"""`safety-regions checklist`: what a paper's reproducibility checklist asks for."""

import argparse
import sys
from pathlib import Path

from safety_regions.files import write_text
from safety_regions.planning.from_files import add_config_options, plan_of
from safety_regions.provenance.checklist import checklist
from safety_regions.provenance.index import scan


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_config_options(parser)
    parser.add_argument("--output", type=Path, metavar="FILE.md", help="write it there instead of printing it")


def run(arguments: argparse.Namespace) -> None:
    """Print the page, or write it."""
    index = scan()
    for wrong in index.unreadable:
        print(f"warning: {wrong}", file=sys.stderr)
    page = checklist(plan_of(arguments), index)
    if arguments.output:
        write_text(arguments.output, page)
    else:
        print(page, end="")
