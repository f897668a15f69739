"""Tabulate how many prompts each pair of samples shares, exactly and nearly."""

import argparse
from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.errors import run_main
from safety_regions.steps.arguments import read_recipe


def named_path(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, Path(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True, metavar="JSON|@FILE", help="recipe of kind `prompt_overlap`")
    parser.add_argument(
        "--prompts",
        required=True,
        nargs="+",
        type=named_path,
        metavar="NAME=PATH",
        help="samples that sample_prompts.py wrote",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="PATH", help="CSV file to write")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe, "prompt_overlap")

    from safety_regions.data.prompt_overlap import write_table
    from safety_regions.steps.prompt_overlap import compare_prompts

    table = compare_prompts(recipe, dict(arguments.prompts))
    write_table(table, arguments.output)
    receipts.write(arguments.output, recipe, {"n_pairs": len(table)})


if __name__ == "__main__":
    run_main(main)
