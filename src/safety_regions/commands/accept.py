"""`safety-regions accept`."""

import argparse
from pathlib import Path

from safety_regions.artifacts.artifact import RESULTS
from safety_regions.artifacts.other_code import accept
from safety_regions.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    """The options: where code went that cannot be found by itself."""
    parser.add_argument(
        "--moved",
        nargs="+",
        action="extend",
        default=[],
        metavar="OLD=NEW[,NEW]",
        help="where the code of a module that is gone stands now, as in regions.select=regions.cut; nothing behind the "
        "sign if it was dropped. A module that was only renamed is found without",
    )


def run(arguments: argparse.Namespace) -> None:
    """Note that today's code makes the same bytes as the code before, for each module that changed."""
    noted = accept(Path(RESULTS), dict(map(_moved, arguments.moved)))
    if not noted:
        print("Nothing to note: today's code is known.")
        return
    print(f"Noted as making the same bytes as before: {', '.join(noted)}.")
    print("That they are the same is for the tests to say: pytest tests/artifacts/test_golden.py")


def _moved(text: str) -> tuple[str, tuple[str, ...]]:
    old, sign, heirs = text.partition("=")
    if not old or not sign:
        raise UserError(f"no move: {text!r}", where="--moved", expected="OLD=NEW, OLD=NEW,NEW, or OLD= for one dropped")
    return old, tuple(filter(None, heirs.split(",")))
