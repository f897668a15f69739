"""A model's recipe: all that decides its weights and how it is run, and nothing about paths or machines. No torch here."""

from pydantic import TypeAdapter, ValidationError

from safety_regions import synthetic
from safety_regions.config.models import ModelSource, ModelSpec
from safety_regions.errors import UserError
from safety_regions.recipes import VERSIONS


def model_recipe(
    name: str, spec: ModelSpec, *, base_digest: str | None = None, data_digests: dict[str, str] | None = None
) -> dict:
    """The recipe of one model of the registry, as plain JSON values.

    An aligned model also needs the digest of its base model's recipe and, for each dataset it trains on, the digest of
    the fetched dataset's recipe.
    """
    source = spec.source.model_dump(mode="json")
    if spec.source.kind == "local":
        source.pop("path")
    recipe = {
        "kind": "model",
        "version": VERSIONS["model"],
        "model": name,
        "source": source,
        "dtype": spec.dtype,
        "plain_template": spec.plain_template,
    }
    if spec.source.kind == "tiny":
        recipe["corpus_version"] = synthetic.VERSION
    if spec.source.kind == "aligned":
        wanted = {*spec.source.harmful, *spec.source.harmless}
        if base_digest is None or set(data_digests or {}) != wanted:
            raise ValueError(f"the recipe of {name} needs the digests of its base model and of {sorted(wanted)}")
        recipe |= {"base": base_digest, "data": dict(data_digests or {})}
    return recipe


def source_of(recipe: dict, local: str | None = None) -> ModelSource:
    """The typed source in a recipe; `local` is the folder of a local model, which its recipe leaves out. Raises `UserError` if it is none."""
    source = recipe["source"]
    if source["kind"] == "local":
        source = source | {"path": local}
    try:
        return TypeAdapter(ModelSource).validate_python(source)
    except ValidationError as error:
        raise UserError(str(error), where="--recipe, source", expected="a model's source") from None
