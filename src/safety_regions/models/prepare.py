"""Make the folder of any model: one function per kind of source."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from safety_regions.artifacts import receipts
from safety_regions.artifacts.code_digests import code_digests
from safety_regions.config.models import AlignedModel, HubModel, LocalModel, ModelSource, PackageModel, TinyModel
from safety_regions.errors import UserError
from safety_regions.models.folder import new_folder

_TENSORS = ("safetensors", "tokenizers", "torch", "transformers")
VERSIONS: dict[str, tuple[str, ...]] = {
    "tiny": _TENSORS,
    "package": ("gguf", *_TENSORS),
    "aligned": ("peft", *_TENSORS),
    "hub": (),
    "local": (),
}
"""Packages that decide a folder's bytes, by kind of source."""
_TRAINING = ("safety_regions.models.training", "safety_regions.models.tokens", "safety_regions.models.folder")
MODULES: dict[str, tuple[str, ...]] = {
    "tiny": ("safety_regions.models.sources.tiny", "safety_regions.data.synthetic", *_TRAINING),
    "package": ("safety_regions.models.sources.package", "safety_regions.models.folder"),
    "aligned": (
        "safety_regions.models.sources.aligned",
        "safety_regions.models.adapter",
        "safety_regions.data.sample",
        *_TRAINING,
    ),
    "hub": ("safety_regions.models.sources.hub_or_local",),
    "local": ("safety_regions.models.sources.hub_or_local",),
}
"""Our modules that do."""


@dataclass(frozen=True)
class Inputs:
    """Where on this machine the things that a recipe names by digest are."""

    base: Path | None = None
    """Prepared folder of the base model, for an aligned one."""
    data: dict[str, Path] = field(default_factory=dict)
    """Fetched rows (JSON lines) by dataset, for an aligned model."""
    local: str | None = None
    """Folder of a local model."""
    device: str = "auto"
    """Where an adapter is trained."""


def read_data(pairs: list[str]) -> dict[str, Path]:
    """Datasets' files from `NAME=PATH` texts."""
    for pair in pairs:
        if "=" not in pair:
            raise UserError(f"no `=` in {pair!r}", where="--data", expected="NAME=PATH")
    return {name: Path(path) for name, path in (pair.split("=", 1) for pair in pairs)}


def prepare_model(recipe: dict, output: Path, inputs: Inputs, licence: str, citation: str) -> receipts.Receipt:
    """Make the folder that `load_model` loads, with its receipt, whole or not at all. Returns the receipt."""
    with new_folder(output) as folder:
        facts = _make(recipe, folder, inputs)
    facts |= {"licence": licence, "citation": citation}
    kind = recipe["source"]["kind"]
    return receipts.write(output, recipe, facts, versions=VERSIONS[kind], code=code_digests(*MODULES[kind]))


def _make(recipe: dict, folder: Path, inputs: Inputs) -> dict:
    if recipe["source"]["kind"] == "local" and inputs.local is None:
        raise UserError("the local model's folder is not given", where="--local")
    match source_of(recipe, inputs.local):
        case TinyModel() as source:
            from safety_regions.models.sources.tiny import make_tiny

            return make_tiny(source, folder)
        case AlignedModel() as source:
            from safety_regions.models.sources.aligned import make_aligned

            if inputs.base is None:
                raise UserError("the base model's folder is not given", where="--base")
            receipts.check(inputs.base, recipe["base"])
            return make_aligned(
                source, recipe["dtype"], inputs.base, inputs.data, recipe["data"], folder, inputs.device
            )
        case PackageModel() as source:
            from safety_regions.models.sources.package import make_from_package

            return make_from_package(source, recipe["dtype"], folder)
        case HubModel() as source:
            from safety_regions.models.sources.hub_or_local import point_to_hub

            return point_to_hub(source, folder)
        case LocalModel() as source:
            from safety_regions.models.sources.hub_or_local import point_to_local

            return point_to_local(source, folder)


def source_of(recipe: dict, local: str | None = None) -> ModelSource:
    """The typed source in a recipe; `local` is the folder of a local model, which its recipe leaves out.

    Raises `UserError` if it is none.
    """
    source = recipe["source"]
    if source["kind"] == "local":
        source = source | {"path": local}
    try:
        return TypeAdapter(ModelSource).validate_python(source)
    except ValidationError as error:
        raise UserError(str(error), where="--recipe, source", expected="a model's source") from None
