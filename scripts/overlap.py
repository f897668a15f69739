"""Count how far the regions of one model and method overlap, raw and refined; write pairs, nway and sizes tables."""

import argparse
from pathlib import Path

from safety_regions.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True, help="JSON or @FILE: the sets, fraction p and orders")
    parser.add_argument("--regions", required=True, help='JSON: {"set": "path of its region"}')
    parser.add_argument("--output", required=True, type=Path, help="folder for the tables and their receipt")
    args = parser.parse_args()

    from safety_regions.recipes import read_paths, read_recipe
    from safety_regions.steps.overlap import overlap

    overlap(read_recipe(args.recipe, "overlap"), read_paths(args.regions, "--regions"), args.output)


if __name__ == "__main__":
    run_main(main)
