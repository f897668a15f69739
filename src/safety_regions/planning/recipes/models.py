"""Recipes of models and of their LoRA safety adapters."""

from dataclasses import dataclass
from typing import Any, ClassVar

from safety_regions.artifacts.kinds import TRAINED, VERSIONS
from safety_regions.artifacts.recipe import Recipe
from safety_regions.config.models import AlignedModel, ModelSpec, TinyModel
from safety_regions.data import synthetic


@dataclass(frozen=True, kw_only=True)
class ModelRecipe(Recipe):
    """A prepared model."""

    kind: ClassVar[str] = "model"
    version: int = VERSIONS["model"]
    model: str
    source: dict[str, Any]
    """`config.models.ModelSource` without paths on this machine, and without the mirror of a GGUF file."""
    dtype: str
    plain_template: str | None
    """How prompts are put to a model that has no chat template."""
    chat_template: bool | None = None
    """False: the model's own chat template is left out; None: it is used where there is one."""
    corpus_version: int | None = None
    """Of the embedded corpus that a tiny model is trained on."""
    base: str | None = None
    """Digest of the recipe of the model that an aligned one is trained from."""
    data: dict[str, str] | None = None
    """By dataset: the digest of the recipe of rows that it is aligned with."""

    @property
    def inputs(self) -> dict[str, str]:
        """An aligned model's base and data."""
        base = {"base": self.base} if self.base is not None else {}
        return base | {f"data/{name}": digest for name, digest in (self.data or {}).items()}

    @property
    def is_trained(self) -> bool:
        """Whether this pipeline trains the model, rather than fetching it."""
        return self.source["kind"] in TRAINED

    @property
    def step(self) -> str | None:
        """Training, or none."""
        return "train" if self.is_trained else None


def model_recipe(
    name: str, spec: ModelSpec, *, base_digest: str | None = None, data_digests: dict[str, str] | None = None
) -> ModelRecipe:
    """The recipe of one model of the registry.

    An aligned model also needs the digest of its base model's recipe and, for each dataset it trains on, the digest of
    the fetched dataset's recipe.
    """
    source = spec.source.model_dump(mode="json", exclude={"path", "mirror"})
    base = data = None
    if isinstance(spec.source, AlignedModel):
        wanted = {*spec.source.harmful, *spec.source.harmless}
        if base_digest is None or set(data_digests or {}) != wanted:
            raise ValueError(f"the recipe of {name} needs the digests of its base model and of {sorted(wanted)}")
        base, data = base_digest, dict(data_digests or {})
    return ModelRecipe(
        model=name,
        source=source,
        dtype=spec.dtype,
        plain_template=spec.plain_template,
        chat_template=None if spec.chat_template else False,
        corpus_version=synthetic.VERSION if isinstance(spec.source, TinyModel) else None,
        base=base,
        data=data,
    )


@dataclass(frozen=True, kw_only=True)
class AdapterRecipe(Recipe):
    """A LoRA safety adapter, trained for a model that has none of its own."""

    kind: ClassVar[str] = "adapter"
    version: int = VERSIONS["adapter"]
    model: str
    data: dict[str, str]
    """By dataset: the digest of the recipe of its rows."""
    options: dict[str, Any]
    """`models.adapter_training.Decided`."""

    @property
    def inputs(self) -> dict[str, str]:
        """The model and the rows it is trained on."""
        return {"model": self.model} | {f"data/{name}": digest for name, digest in self.data.items()}


def training_options(recipe: ModelRecipe | AdapterRecipe) -> dict[str, Any]:
    """The options of training an adapter, or a model that this pipeline trains."""
    return recipe.options if isinstance(recipe, AdapterRecipe) else recipe.source
