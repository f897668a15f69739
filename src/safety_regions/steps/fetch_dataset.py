"""A recipe in, all rows of a dataset out."""

from pathlib import Path

from pydantic import ValidationError

from safety_regions.artifacts import receipts
from safety_regions.config.datasets import DatasetSpec
from safety_regions.data.fetch import fetch
from safety_regions.errors import UserError
from safety_regions.files import write_jsonl
from safety_regions.planning.recipes.data import DatasetRecipe


def fetch_dataset(recipe: DatasetRecipe, output: Path, *, licence: str, citation: str, local: str | None) -> None:
    """Write the rows and their receipt. What changes no row is no part of the recipe: licence, citation, and `local`,
    the path of a local file.

    Raises `UserError` for a recipe of no dataset, and as `safety_regions.data.fetch.fetch` does.
    """
    fetched = fetch(recipe.dataset, _spec(recipe, licence, citation, local), recipe.sha256)
    write_jsonl(output, fetched.rows)
    receipts.write(output, recipe.as_json(), fetched.facts)


def _spec(recipe: DatasetRecipe, licence: str, citation: str, local: str | None) -> DatasetSpec:
    source = recipe.spec.get("source")
    if isinstance(source, dict) and source.get("kind") == "local":
        if local is None:
            raise UserError("the path of the local file is not given", where="--local")
        source = source | {"path": local}
    try:
        return DatasetSpec.model_validate({**recipe.spec, "source": source, "licence": licence, "citation": citation})
    except ValidationError as error:
        raise UserError(str(error), where="--recipe, spec", expected="a dataset spec") from None
