"""Draw what SafeLayer's ranges of one model follow from, each figure as PDF, PNG and the CSV of its numbers."""

import argparse
from pathlib import Path

from safety_regions.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True, help="JSON or @FILE: digests of the regions, and the context")
    parser.add_argument("--regions", required=True, help='JSON {"set": "path"}: the region of each set')
    parser.add_argument("--output", required=True, type=Path, help="folder for the figures and their receipt")
    args = parser.parse_args()

    from safety_regions.recipes import read_paths, read_recipe
    from safety_regions.steps.layer_curves import draw_layer_curves

    recipe = read_recipe(args.recipe, "layer_curves")
    draw_layer_curves(recipe, read_paths(args.regions, "--regions"), args.output)


if __name__ == "__main__":
    run_main(main)
