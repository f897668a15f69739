"""Fetch all rows of one dataset: download, check, filter, and write {id, prompt, response} per line."""

import argparse
from pathlib import Path

from safety_regions.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Environment: HF_TOKEN for gated datasets; HF_HUB_OFFLINE=1 to use the cache only; "
        "SAFETY_REGIONS_MIRROR='PREFIX=REPLACEMENT ...' to read raw files from mirrors.",
    )
    parser.add_argument("--recipe", required=True, metavar="JSON|@FILE", help="recipe of kind `dataset`")
    parser.add_argument("--licence", required=True, help="of the dataset, for the receipt")
    parser.add_argument("--citation", required=True, help="of the dataset, for the receipt")
    parser.add_argument("--local", metavar="PATH", help="the file itself (kind local)")
    parser.add_argument("--output", required=True, type=Path, metavar="PATH", help="JSONL file to write")
    arguments = parser.parse_args()

    from safety_regions.planning.recipes.data import DatasetRecipe
    from safety_regions.steps.arguments import read_recipe
    from safety_regions.steps.fetch_dataset import fetch_dataset

    recipe = read_recipe(arguments.recipe, DatasetRecipe)
    rights = {"licence": arguments.licence, "citation": arguments.citation}
    fetch_dataset(recipe, arguments.output, **rights, local=arguments.local)


if __name__ == "__main__":
    run_main(main)
