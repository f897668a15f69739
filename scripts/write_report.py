"""Gather the figures and tables of all models and methods in one folder that opens with summary.md."""

import argparse
from pathlib import Path

from safety_regions.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True, help="JSON or @FILE: configuration, parts and sources")
    parser.add_argument("--parts", required=True, help='JSON: {"role": "path"} for every part of the recipe')
    parser.add_argument("--output", required=True, type=Path, help="folder for the report and its receipt")
    args = parser.parse_args()

    from safety_regions.planning.recipes.report import ReportRecipe
    from safety_regions.steps.arguments import read_paths, read_recipe
    from safety_regions.steps.report import write_report

    write_report(read_recipe(args.recipe, ReportRecipe), read_paths(args.parts, "--parts"), args.output)


if __name__ == "__main__":
    run_main(main)
