"""Draw the figures of one model and method from its overlap tables, each as PDF, PNG and the CSV of its numbers."""

import argparse
from pathlib import Path

from safety_regions.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True, help="JSON or @FILE: digest of the overlap folder, and the context")
    parser.add_argument("--overlap", required=True, type=Path, help="folder with pairs, nway and sizes .parquet")
    parser.add_argument("--output", required=True, type=Path, help="folder for the figures and their receipt")
    args = parser.parse_args()

    from safety_regions.figures.draw import draw_figures
    from safety_regions.recipes import read_recipe

    draw_figures(read_recipe(args.recipe, "figures"), args.overlap, args.output)


if __name__ == "__main__":
    run_main(main)
