"""Recipes: the version of each kind of artifact, and recipes on a command line.

A recipe is a JSON object with `kind` and `version`. On a command line it is JSON text, `@FILE`, or `@RECEIPT`, to make again
what a receipt describes.
"""

from collections.abc import Iterable
from pathlib import Path

from safety_regions.errors import UserError
from safety_regions.given import Given
from safety_regions.store import canonical_json, load_json

VERSIONS = {
    "dataset": 1,
    "prompts": 1,
    "prompt_overlap": 1,
    "model": 1,
    "pairs": 1,
    "selection": 1,
    "adapter": 1,
    "overlap": 2,
    "replicates": 1,
    "across": 1,
    "evaluate": 1,
    "figures": 2,
    "layer_curves": 1,
    "report": 4,
}
"""Raised with any change of the code that changes the bytes of that kind. Methods have theirs in `methods/catalogue.py`."""


def read_recipe(text: str, kind: str) -> dict:
    """The recipe given as JSON, or in a file, alone or inside a receipt.

    Raises `UserError` if it is none, or of another kind or version than this code makes.
    """
    try:
        content = load_json(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
        recipe = content.get("recipe", content)
        if not isinstance(recipe, dict):
            raise ValueError("expected a JSON object")
        canonical_json(recipe).encode()
        refuse_others(recipe, [kind], "--recipe")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(
            f"not a recipe: {error}", where="--recipe", expected="a JSON object, @FILE, or @RECEIPT"
        ) from None
    return Given(recipe, "recipe", "--recipe")


def refuse_others(recipe: dict, kinds: Iterable[str], where: str) -> None:
    """Raise `UserError` for a recipe of another kind, or of another version than this code makes."""
    found = {"kind": recipe.get("kind"), "version": recipe.get("version")}
    wanted = [{"kind": kind, "version": VERSIONS[kind]} for kind in kinds]
    if found not in wanted:
        raise UserError(f"a recipe of {found}", where=where, expected=f"a recipe of {' or '.join(map(str, wanted))}")


def read_paths(text: str, option: str) -> dict[str, Path]:
    """The paths by role of an option such as `--parts {"role": "path"}`."""
    try:
        return {str(role): Path(path) for role, path in load_json(text).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"not a mapping of roles to paths: {error}", where=option, expected='{"role": "path"}'
        ) from None
