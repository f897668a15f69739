"""Tabulate how many prompts each pair of samples shares, exactly and nearly."""

import argparse
from pathlib import Path

from safety_regions.errors import run_main


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

    from safety_regions.planning.recipes.data import PromptOverlapRecipe
    from safety_regions.steps.arguments import read_recipe
    from safety_regions.steps.prompt_overlap import tabulate_prompt_overlap

    recipe = read_recipe(arguments.recipe, PromptOverlapRecipe)
    tabulate_prompt_overlap(recipe, dict(arguments.prompts), arguments.output)


if __name__ == "__main__":
    run_main(main)
