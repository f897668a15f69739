"""Compare the regions of one model's methods on the weights that they own; write across.csv."""

import argparse
from pathlib import Path

from safety_regions.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True, help="JSON or @FILE: the model, regions, sets and fractions")
    parser.add_argument("--inputs", required=True, help='JSON: {"model": "folder", "METHOD/SET": "path of its region"}')
    parser.add_argument("--output", required=True, type=Path, help="folder for the table and its receipt")
    args = parser.parse_args()

    from safety_regions.recipes import read_paths, read_recipe
    from safety_regions.steps.across import across

    across(read_recipe(args.recipe, "across"), read_paths(args.inputs, "--inputs"), args.output)


if __name__ == "__main__":
    run_main(main)
