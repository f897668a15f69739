"""What a command line gives to a step: recipes and mappings, in which something may be missing or wrong."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.errors import UserError
from safety_regions.files import canonical_json, load_json


class Given(dict):
    """A mapping, nested ones too, in which a key that is asked for and not there is a mistake of whoever wrote it, told
    as `UserError`.

    `what` names it in words, as in "the recipe"; `where` is where it was given.
    """

    def __init__(self, content: dict, what: str, where: str):
        self.what, self.where = what, where
        super().__init__({key: self._wrapped(value) for key, value in content.items()})

    def _wrapped(self, value: Any) -> Any:
        return Given(value, self.what, self.where) if isinstance(value, dict) else value

    def __missing__(self, key: Any) -> Any:
        there = ", ".join(map(str, self)) or "none at all"
        raise UserError(
            f"no {key!r} in the {self.what}",
            where=self.where,
            hint=f"its keys are: {there}; snakemake and receipts have whole ones",
        )


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
