"""Make the folder of any model, by the module of its kind of source (`models.sources`)."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from safety_regions.artifacts import receipts
from safety_regions.config.models import ModelSource, WheelFile
from safety_regions.errors import UserError
from safety_regions.models.folder import new_folder
from safety_regions.models.sources import Inputs
from safety_regions.planning.recipes.models import ModelRecipe
from safety_regions.steps.training_data import check_rows


def prepare_model(recipe: ModelRecipe, output: Path, inputs: Inputs, licence: str, citation: str) -> receipts.Receipt:
    """Make the folder that `load_model` loads, with its receipt, whole or not at all. Returns the receipt."""
    source = source_of(recipe, inputs.local, inputs.mirror)
    maker = import_module(f"safety_regions.models.sources.{source.kind}")
    check_rows(inputs.data, recipe.data or {})
    with new_folder(output) as folder:
        facts = maker.make(source, recipe, inputs, folder)
    return receipts.write(
        output, recipe.as_json(), facts | {"licence": licence, "citation": citation}, versions=maker.PACKAGES
    )


def source_of(recipe: ModelRecipe, local: str | None = None, mirror: Sequence[WheelFile] = ()) -> ModelSource:
    """The typed source in a recipe, with what it leaves out: the folder of a local model or classifier, the mirror of a
    GGUF file.

    Raises `UserError` if it is none, or if that folder is needed and not given.
    """
    source = recipe.source
    if source.get("kind") == "local" and local is None:
        raise UserError("the local model's folder is not given", where="--local")
    if source.get("kind") in ("local", "classifier") and local is not None:
        source = source | {"path": local}
    if source.get("kind") == "gguf":
        source = source | {"mirror": list(mirror)}
    try:
        return TypeAdapter(ModelSource).validate_python(source)
    except ValidationError as error:
        raise UserError(str(error), where="--recipe, source", expected="a model's source") from None
