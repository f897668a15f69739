"""Fetch all rows of one dataset: download, check, filter, and write {id, prompt, response} per line."""

import argparse
from pathlib import Path

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.errors import run_main
from safety_regions.steps.arguments import read_recipe


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
    recipe = read_recipe(arguments.recipe, "dataset")

    from safety_regions.data.fetch import fetch_recipe

    fetched = fetch_recipe(recipe, licence=arguments.licence, citation=arguments.citation, local=arguments.local)
    files.write_jsonl(arguments.output, fetched.rows)
    receipts.write(arguments.output, recipe, fetched.facts)


if __name__ == "__main__":
    run_main(main)
