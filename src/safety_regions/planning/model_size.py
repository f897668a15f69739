"""How large a model is, from its configuration: no weights are read, torch is not imported."""

import json
from pathlib import Path

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.architectures import TIED, kinds_of, text_config
from safety_regions.config.dimensions import ModelSize
from safety_regions.config.layouts import LAYOUTS
from safety_regions.config.models import TinyModel
from safety_regions.config.registries import Registries
from safety_regions.config.text_dimensions import in_common_names

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
UNKNOWN = 8_000_000_000
"""Parameters that a model is taken to have while nothing is known of it."""


def size_from_config(config: dict, dtype: str) -> ModelSize:
    """The size of a model from the content of its config.json; of one of no known architecture, as if of Llama's.

    The dimensions are those of the text model; its parameters count an encoder of images, from above. Biases and norms
    inside or behind the blocks' two are left out, together below a ten-thousandth, and what stands between the last
    block and the output matrix. Raises `KeyError` for a configuration that lacks a dimension.
    """
    whole, config = config, in_common_names(text_config(config))
    hidden, layers, inner = config["hidden_size"], config["num_hidden_layers"], config["intermediate_size"]
    heads = config["num_attention_heads"]
    width = config.get("head_dim") or hidden // heads
    keys = (config.get("num_key_value_heads") or heads) * width
    model_type = config.get("model_type", "")
    of_ffn = sum(kind in ("gate", "up", "down") for kind in kinds_of(model_type))
    scored = layers * hidden * (2 * heads * width + 2 * keys + of_ffn * inner)
    tied = (config | whole).get("tie_word_embeddings", whole.get("model_type") in TIED)
    vocabulary = config["vocab_size"]
    embeddings = vocabulary * (1 if tied else 2) + _positions(model_type, config)
    parameters = scored + embeddings * hidden + (2 * layers + 1) * hidden + _of_encoder(whole)
    return ModelSize(parameters, scored, layers, hidden, inner, keys, vocabulary, BYTES[dtype])


def _positions(model_type: str, config: dict) -> int:
    """Rows of a matrix of learned positions."""
    further = LAYOUTS[model_type].further_positions if model_type in LAYOUTS else None
    return 0 if further is None else config.get("max_position_embeddings", 0) + further


def _of_encoder(config: dict) -> int:
    """Weights of the blocks of an encoder of images, taken to have a gate; 0 where there is none, or little is said."""
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        return 0
    layers = vision.get("num_hidden_layers") or vision.get("depth") or 0
    hidden, inner = (vision.get(key) or 0 for key in ("hidden_size", "intermediate_size"))
    return layers * hidden * (4 * hidden + 3 * inner)


def size_from_count(parameters: int, dtype: str, known: bool = True) -> ModelSize:
    """A shape for a model of which only the number of parameters is known.

    Each dimension by itself is at least about that of the Llama, Qwen2, Gemma 2 and Mistral models of this size, since
    memory is to be estimated from above; so together they make a larger model than `parameters`.
    """
    # Below a billion, where most weights are embeddings, models are thinner.
    hidden = max(64, round((2.1 if parameters >= 1e9 else 1.3) * parameters ** (1 / 3) / 64) * 64)
    layers = max(30, round(parameters / (11 * hidden**2)))
    return ModelSize(
        parameters,
        scored=round(0.97 * parameters),
        layers=layers,
        hidden=hidden,
        intermediate=round(4.8 * hidden),
        keys=hidden // 2,
        vocabulary=256_000,
        bytes_per_weight=BYTES[dtype],
        known=known,
    )


def size_of(name: str, folder: Artifact, registries: Registries, dtype: str | None = None) -> ModelSize:
    """The size of a model of the registry: from its prepared folder where it is in place, else from the registry.

    `folder`: the artifact of the prepared model; one that is another model with an adapter has the size of that one.
    `dtype`: in which it is run, if not in the registry's.
    """
    spec = registries.models[name]
    dtype = dtype or spec.dtype
    prepared = _prepared(folder, dtype)
    if prepared is not None:
        return prepared
    if "base" in folder.inputs and spec.source.kind == "aligned":
        return size_of(spec.source.base, folder.inputs["base"], registries, dtype)
    if isinstance(spec.source, TinyModel):
        return _tiny(spec.source, dtype)
    if spec.shape is not None:
        return size_from_config(spec.shape.model_dump(exclude_none=True), dtype)
    return size_from_count(spec.parameters or UNKNOWN, dtype, known=spec.parameters is not None)


def _prepared(folder: Artifact, dtype: str) -> ModelSize | None:
    try:
        return size_from_config(json.loads(Path(folder.path, "config.json").read_text(encoding="utf-8")), dtype)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tiny(source: TinyModel, dtype: str) -> ModelSize:
    """From above: keys may be narrower, and the vocabulary smaller."""
    hidden, layers = source.hidden_size, source.layers
    scored = 13 * layers * hidden**2
    return ModelSize(scored + 700 * hidden, scored, layers, hidden, 3 * hidden, hidden, 700, BYTES[dtype])
