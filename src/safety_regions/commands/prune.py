"""`safety-regions prune`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from safety_regions.errors import UserError
from safety_regions.share.prune import Leftover, certain, delete, kept_keys, leftovers, run_configs, stage_removed
from safety_regions.text import readable_size, table

SPACE = """
Bytes stay in DVC's cache and remote. `dvc gc --workspace` empties the cache here of what no pointer here names.
`dvc gc --workspace --cloud` does so in the remote, for everyone and for ever: what older commits or other branches
point to is lost, unless --all-commits goes with it.""".lstrip()


def configure(parser: argparse.ArgumentParser) -> None:
    """The options: what to keep, and what to remove."""
    parser.add_argument(
        "--keep",
        action="extend",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="keep what these configurations refer to (default: all runs' in config/)",
    )
    parser.add_argument(
        "--delete",
        action="store_true",
        help="remove what is published; it can be had again from git's history and the remote",
    )
    parser.add_argument(
        "--unpublished", action="store_true", help="with --delete: also what was never published; it is lost"
    )


def run(arguments: argparse.Namespace) -> None:
    """List what no configuration refers to, and remove it if asked to."""
    if arguments.unpublished and not arguments.delete:
        raise UserError("--unpublished without --delete", expected="both, to remove for ever what was never published")
    configs = arguments.keep or run_configs()
    kept = kept_keys(configs)
    found = leftovers(kept)
    print(
        f"Kept: all that {', '.join(map(str, configs))} refer to. Overrides by --config are in no file:"
        " write them into one to keep what they made.\n"
    )
    if arguments.delete:
        _remove(certain(found), arguments.unpublished, kept)
    elif found:
        print(_listed(found))
        print("\nTo remove what is published: --delete. The rest, for ever: --delete --unpublished.")
    else:
        print("Nothing to prune.")


def _remove(found: list[Leftover], unpublished: bool, kept: set[str]) -> None:
    going = [one for one in found if one.published or unpublished]
    delete(going)
    removed = stage_removed(kept)
    print(f"Removed {len(going)} artifacts, {_size(going)}.")
    staying = [one for one in found if one not in going]
    if staying:
        print(f"\nLeft, since they are not published for certain ({_size(staying)}; --unpublished removes them):")
        print(_listed(staying))
    if removed:
        print(f"\n{len(removed)} files are staged as removed:\n  git commit -m 'Prune results'\n\n{SPACE}")


def _listed(found: Sequence[Leftover]) -> str:
    rows = [[one.path, readable_size(one.size), "yes" if one.published else "no"] for one in found]
    return table(["artifact", "size", "published"], [*rows, ["all", _size(found), ""]])


def _size(found: Sequence[Leftover]) -> str:
    return readable_size(sum(one.size for one in found))
