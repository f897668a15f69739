"""Train a LoRA safety adapter on a prepared model from the adapter's recipe; the model itself stays as it is."""

import argparse
from pathlib import Path

from safety_regions.errors import run_main


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--recipe", required=True, metavar="JSON|@FILE", help="the adapter's recipe, as text or in a file"
    )
    parser.add_argument("--model", required=True, type=Path, metavar="FOLDER", help="prepared model to train it on")
    parser.add_argument(
        "--data", action="extend", nargs="+", default=[], metavar="NAME=PATH", help="fetched rows of datasets"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="where it is trained")
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="folder to make; absent, empty or a failed attempt's",
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    from safety_regions.planning.recipes.models import AdapterRecipe
    from safety_regions.steps.adapter import train_adapter
    from safety_regions.steps.arguments import read_recipe
    from safety_regions.steps.training_data import read_data

    recipe = read_recipe(arguments.recipe, AdapterRecipe)
    train_adapter(recipe, arguments.model, read_data(arguments.data), arguments.output, arguments.device)


if __name__ == "__main__":
    run_main(main)
