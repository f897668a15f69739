"""`safety-regions provenance`: what a file was made from."""

import argparse
import sys
from pathlib import Path

from safety_regions.files import readable_json
from safety_regions.provenance.index import scan
from safety_regions.provenance.trace import locate, trace


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a file or folder below results/ or figures/, its receipt or pointer, or a copy of it",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything, recipes and facts too, as JSON")
    form.add_argument(
        "--crate", type=Path, metavar="OUT", help="folder in which to write ro-crate-metadata.json; no bytes are copied"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the tree, or the JSON, or write the crate."""
    index = scan()
    for wrong in index.unreadable:
        print(f"warning: {wrong}", file=sys.stderr)
    provenance = trace(locate(arguments.file, index), index)
    if arguments.crate:
        from safety_regions.provenance.crate import write_crate

        print(write_crate(provenance, arguments.crate))
    elif arguments.json:
        print(readable_json(provenance.content()), end="")
    else:
        from safety_regions.provenance.tree import tree_of

        print(tree_of(provenance), end="")
