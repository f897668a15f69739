"""Sample the prompts of one dataset in a seeded order, without repeats if the recipe says so."""

import argparse
from pathlib import Path

from safety_regions.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True, metavar="JSON|@FILE", help="recipe of kind `prompts`")
    parser.add_argument("--rows", required=True, type=Path, metavar="PATH", help="rows that fetch_dataset.py wrote")
    parser.add_argument(
        "--earlier",
        nargs="*",
        default=[],
        type=Path,
        metavar="PATH",
        help="rows of the sets listed before this one, for de-duplication across sets",
    )
    parser.add_argument(
        "--apart",
        nargs="*",
        default=[],
        type=Path,
        metavar="PATH",
        help="samples of prompts that this one must not repeat",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="PATH", help="JSONL file to write")
    arguments = parser.parse_args()

    from safety_regions.planning.recipes.data import PromptsRecipe
    from safety_regions.steps.arguments import read_recipe
    from safety_regions.steps.prompts import sample_prompts

    recipe = read_recipe(arguments.recipe, PromptsRecipe)
    sample_prompts(recipe, arguments.rows, arguments.earlier, arguments.apart, arguments.output)


if __name__ == "__main__":
    run_main(main)
