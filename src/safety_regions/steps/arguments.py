"""What a command line gives to a step: a recipe, paths by role."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from safety_regions.artifacts.recipe import Recipe
from safety_regions.config.models import WheelFile
from safety_regions.errors import UserError
from safety_regions.files import canonical_json, load_json
from safety_regions.planning.recipes.parse import parse_recipe

R = TypeVar("R", bound=Recipe)


class Paths(dict[str, Path]):
    """Paths by role, in which a role that is asked for and not there is a mistake of whoever wrote them."""

    def __init__(self, paths: Mapping[str, Path | str], where: str):
        """`where` they were given."""
        self.where = where
        super().__init__({role: Path(path) for role, path in paths.items()})

    def __missing__(self, role: str) -> Path:
        raise UserError(
            f"no {role!r} in the inputs",
            where=self.where,
            expected="a path for every role of the recipe",
            hint=f"there are: {', '.join(self) or 'none at all'}",
        )


def read_recipe(text: str, kind: type[R]) -> R:
    """The recipe given as JSON, or in a file, alone or inside a receipt.

    Raises `UserError` if it is none, or of another kind or version than this code makes.
    """
    try:
        content = load_json(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
        recipe = content.get("recipe", content)
        if not isinstance(recipe, dict):
            raise ValueError("expected a JSON object")
        # Raises where there is no such text: JSON's grammar also has what UTF-8 has not, and numbers beyond all floats.
        canonical_json(recipe).encode()
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(
            f"not a recipe: {error}", where="--recipe", expected="a JSON object, @FILE, or @RECEIPT"
        ) from None
    return parse_recipe(recipe, "--recipe", kind)


def read_mirror(text: str) -> tuple[WheelFile, ...]:
    """The wheels of an option such as `--mirror [{"package": "a", "version": "1", "file": "a/x"}]`."""
    try:
        return TypeAdapter(tuple[WheelFile, ...]).validate_json(text)
    except ValidationError as error:
        raise UserError(
            f"not a list of files in wheels: {error}",
            where="--mirror",
            expected='[{"package": "NAME", "version": "1.0", "file": "PATH"}, ...]',
        ) from None


def read_paths(text: str, option: str) -> Paths:
    """The paths by role of an option such as `--parts {"role": "path"}`."""
    try:
        return Paths({str(role): Path(path) for role, path in load_json(text).items()}, option)
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"not a mapping of roles to paths: {error}", where=option, expected='{"role": "path"}'
        ) from None
