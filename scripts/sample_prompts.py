"""Sample the prompts of one dataset in a seeded order, without repeats if the recipe says so."""

import argparse
from pathlib import Path

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.errors import run_main
from safety_regions.steps.arguments import read_recipe


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
    parser.add_argument("--output", required=True, type=Path, metavar="PATH", help="JSONL file to write")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe, "prompts")

    from safety_regions.steps.prompts import sample_prompts

    rows, facts = sample_prompts(recipe, arguments.rows, arguments.earlier)
    files.write_jsonl(arguments.output, rows)
    receipts.write(arguments.output, recipe, facts)


if __name__ == "__main__":
    run_main(main)
