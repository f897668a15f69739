"""What a model registry (config/models.yaml) may say about one model."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from safety_regions.config.base import CommitSha, HubId, Id, Section, Sha256, Title


class HubModel(Section):
    """A model on the Hugging Face Hub, pinned to a commit; its weights must be safetensors."""

    kind: Literal["hub"]
    id: HubId
    revision: CommitSha


class LocalModel(Section):
    """A folder with config.json, tokenizer and *.safetensors, pinned by the digest that `scripts/prepare_model.py
    --digest FOLDER` prints.
    """

    kind: Literal["local"]
    path: str
    sha256: Sha256


class WheelFile(Section):
    """One file inside one published wheel."""

    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9.!+]*$")]
    file: str


class PackageModel(Section):
    """A GGUF file that Python packages carry, whole or in parts, dequantised once to safetensors."""

    kind: Literal["package"]
    parts: list[WheelFile] = Field(min_length=1)
    """The wheels whose files, joined in this order, are the GGUF file."""
    sha256: Sha256
    """Of the joined GGUF file."""


class GgufModel(Section):
    """A GGUF file on the Hugging Face Hub, pinned to a commit and by its sha256, dequantised once to safetensors."""

    kind: Literal["gguf"]
    id: HubId
    revision: CommitSha
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*\.gguf$")]
    sha256: Sha256
    """Of the file, wherever it was taken from."""
    mirror: list[WheelFile] = []
    """Wheels whose files, joined in this order, are the same bytes: taken where the Hub cannot give the file."""


class TinyModel(Section):
    """A small model that the pipeline trains on the embedded placeholder corpus until it refuses the harmful class."""

    kind: Literal["tiny"]
    family: Literal["llama", "qwen2", "gemma2", "mistral"]
    hidden_size: int = Field(default=64, ge=16, multiple_of=8)
    layers: int = Field(default=4, ge=1)
    steps: int = Field(default=120, ge=1)
    seed: int = Field(default=0, ge=0)


class AlignedModel(Section):
    """Another model of the registry plus a LoRA safety adapter, trained by the pipeline and merged."""

    kind: Literal["aligned"]
    base: Id
    harmful: list[Id] = Field(min_length=1)
    """Datasets whose prompts are answered with a refusal in training."""
    harmless: list[Id] = Field(min_length=1)
    """Datasets whose prompts are answered with their own `response` column in training."""
    n_samples: int = Field(default=150, ge=2)
    """Training prompts taken from each dataset."""
    offset: int = Field(default=0, ge=0)
    """Training prompts start after this many of the seeded order, so that a run that identifies on the first n never
    sees them in training."""
    n_held_out: int = Field(default=32, ge=1)
    """Prompts per dataset kept out of training, taken before `offset`, on which the refusal rates of the receipt are
    measured."""
    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    steps: int = Field(default=80, ge=1)
    batch_size: int = Field(default=8, ge=1)
    seed: int = Field(default=0, ge=0)


Told = Literal["refuses", "answers", "degenerate"]


class ClassifierModel(Section):
    """A text classifier that tells outcomes (key `judge` of a run): on the Hugging Face Hub, pinned to a commit, or in
    a folder of this machine; safetensors only.
    """

    kind: Literal["classifier"]
    id: HubId | None = None
    revision: CommitSha | None = None
    path: str | None = None
    """Folder of this machine that the files are taken from; null: the Hub."""
    sha256: Sha256
    """Of its files, as `scripts/prepare_model.py --digest FOLDER` prints it, wherever they are taken from."""
    labels: dict[str, Told] = Field(min_length=2)
    """By each label of its config.json (`id2label`): the outcome that it stands for."""
    reads: Literal["answer", "prompt_and_answer"] = "answer"
    """The answer alone, or prompt and answer as a pair of texts."""
    max_tokens: int = Field(default=512, ge=1)
    """It reads so many tokens at most; longer texts are cut at their end, of prompt and answer the longer one first."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> "ClassifierModel":
        if (self.id is None) != (self.revision is None):
            raise ValueError("id and revision go together: a model of the Hub is pinned to a commit")
        if self.id is None and self.path is None:
            raise ValueError("neither id and revision on the Hub nor a path on this machine")
        return self

    @model_validator(mode="after")
    def _tells_refusals(self) -> "ClassifierModel":
        if "refuses" not in self.labels.values() or len(set(self.labels.values())) == 1:
            raise ValueError("labels: one must stand for `refuses`, and one for another outcome")
        return self


ModelSource = Annotated[
    HubModel | GgufModel | LocalModel | PackageModel | TinyModel | AlignedModel | ClassifierModel,
    Field(discriminator="kind"),
]


class Shape(Section):
    """Dimensions of a model, under the names that the config.json of most has for them."""

    model_type: str
    hidden_size: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    num_hidden_layers: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    num_key_value_heads: int | None = Field(default=None, ge=1)
    head_dim: int | None = Field(default=None, ge=1)
    vocab_size: int = Field(ge=1)
    tie_word_embeddings: bool | None = None


class ModelSpec(Section):
    """Where a model's weights come from and how it is run."""

    source: ModelSource
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Dtype of the weights while scoring; sums are float32 whatever it is."""
    plain_template: Annotated[str, Field(pattern=r"\{prompt\}")] | None = None
    """For a model without a chat template: text around the prompt, such as `"{prompt}\\n"`. The model's own template
    comes first."""
    chat_template: bool = True
    """`false`: leave the model's own chat template out; `plain_template` stands in its place, or the prompt alone."""
    shape: Shape | None = None
    """What memory and time are estimated by before the model is prepared; then its own config.json counts."""
    parameters: int | None = Field(default=None, ge=1)
    """How many weights it has, where its shape is not known: estimates are then larger than they need be."""
    title: Title | None = None
    """Its name as people write it, in figures and on the page of a report; without one it goes by its id there."""
    before_alignment: Id | None = None
    """Another model of the registry, of the same shapes: this one before it was aligned. Left out: the base of an
    `aligned` one. A run with both compares their regions."""
    licence: str
    citation: str

    @model_validator(mode="after")
    def _is_said_once(self) -> "ModelSpec":
        if self.shape is not None and self.parameters is not None:
            raise ValueError("shape and parameters say the same: keep the shape")
        return self

    @property
    def unaligned(self) -> str | None:
        """The id of this model before it was aligned; None where none is known."""
        base = self.source.base if isinstance(self.source, AlignedModel) else None
        return self.before_alignment or base
