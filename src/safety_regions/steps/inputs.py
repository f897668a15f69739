"""The checked inputs of a step."""

from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.artifacts.other_code import warn_if_changed
from safety_regions.errors import UserError
from safety_regions.regions.format import open_region


def given(paths: dict[str, Path], role: str, option: str) -> Path:
    """The path of a role. Raises `UserError` if it was not given."""
    if role not in paths:
        raise UserError(f"no path given for {role}", where=option, expected="a path for every role of the recipe")
    return paths[role]


def checked_region(path: Path, digest: str) -> Path:
    """The path of a region file that agrees with its receipt and was made by recipe `digest`, by its own word too."""
    warn_if_changed(str(path), receipts.check(path, digest).code)
    with open_region(path) as region:
        if region.header.recipe_digest != digest:
            raise UserError(
                f"this file says it was made by recipe {region.header.recipe_digest[:12]}",
                where=str(path),
                expected=f"recipe {digest[:12]}",
                hint="delete it with its receipt and run snakemake again",
            )
    return path
