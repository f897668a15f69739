"""Model types that cannot be scored: why, in one sentence, and what to do about it, read off config.json alone."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What keeps models from being scored that have it in common."""

    reason: str
    hint: str


DECODER_ONLY = "take a model that only decodes"
EVERY_LAYER = (
    "take a model in which every layer has queries, keys and values of all earlier positions, or the last ones"
)
ADDING = "docs/add-a-model.md says how one is added to src/safety_regions/config/architectures.py"
ENCODER_DECODER = Kind("an encoder reads the prompt, and what answers does not continue it", DECODER_ONLY)
ENCODER = Kind("it is an encoder, whose positions attend to later ones", DECODER_ONLY)
STATES = Kind("some of its layers carry a state along in place of keys and values", EVERY_LAYER)
CHOSEN = Kind("some of its layers choose the positions that they attend to", EVERY_LAYER)
CROSS = Kind("some of its layers attend to an image or to sound", "take a model that reads texts alone")
EXPERTS = Kind("its feed-forward is experts, of which every token takes a few", "take a dense model of the same family")
LATENT = Kind(
    "its keys and values come out of one matrix of low rank", "take a model that has a matrix for each of them"
)
OWN_CODE = Kind("its code lies beside its weights, and is never run", "take a model of a known architecture")
UNWATCHED = Kind(
    "its attention is computed where nobody can look on, by none of transformers' attention functions",
    "take a model of another architecture",
)
NAMED = {
    "bert-generation": ENCODER,
    "cpmant": UNWATCHED,
    "dots1": EXPERTS,
    "idefics": CROSS,
    "mllama_text_model": CROSS,
    "moshi": CROSS,
    "reformer": CHOSEN,
    "rwkv": STATES,
    "trocr": ENCODER_DECODER,
    "xlm": ENCODER,
    "xlnet": ENCODER,
    "xlstm": STATES,
}
"""Model types whose configuration does not tell."""
STATE_WORDS = ("mamba", "ssm_", "state_size", "conv_kernel", "conv_L_cache", "conv1d", "short_conv", "linear_num")
"""In names of options that only models with states have."""
STATE_LAYERS = ("linear", "conv", "recurrent", "mamba", "hybrid")
CHOSEN_LAYERS = ("indexed", "compressed", "sparse", "reference")
"""In names of kinds of layers."""

UNSCALED = "it leaves out the scale that its text model has behind the output matrix"
WRONG: dict[str, str] = {
    "aya_vision": UNSCALED,
    "bitnet": "a norm over all channels stands between its attention and W_o: no value neuron can be taken out alone",
    "cohere2_vision": UNSCALED,
    "doge": "its values decide what is attended to",
    "flint": "attention sinks take a part of every row's probability",
    "gemma3n_text": "its feed-forward keeps channels above a quantile of all, and layers share keys and values",
    "gemma4_text": "its values pass a norm, and layers share keys and values",
    "gemma4_unified_text": "its values pass a norm, and layers share keys and values",
    "gpt_oss": "attention sinks take a part of every row's probability",
    "llama4_text": "positions attend within chunks alone, and most of its feed-forward is experts",
}
"""Model types whose blocks or attention look like those of known ones, and what makes scores of them wrong."""


def kind_of(config: dict[str, Any], text: dict[str, Any]) -> Kind | None:
    """What keeps a model of a type that is not known from being scored; None where its configuration does not say.

    `config`: the content of its config.json; `text`: that part of it which is the text model's.
    """
    own = str(text.get("model_type"))
    if config.get("is_encoder_decoder"):
        return ENCODER_DECODER
    layers = [str(layer) for key in ("layer_types", "layers_block_type", "block_types") for layer in _all(text, key)]
    if _has(text, STATE_WORDS) or any(word in layer for layer in layers for word in STATE_LAYERS):
        return STATES
    if _has(text, ("experts",)) or _has(text.get("ffn_config"), ("experts",)) or "moe" in own:
        return EXPERTS
    if _has(text, ("kv_lora_rank",)):
        return LATENT
    if any(word in layer for layer in layers for word in CHOSEN_LAYERS):
        return CHOSEN
    if "type_vocab_size" in text:
        return ENCODER
    return NAMED.get(own, OWN_CODE if config.get("auto_map") else None)


def _has(config: Any, words: tuple[str, ...]) -> bool:
    """Whether an option with one of the words in its name is set."""
    return isinstance(config, dict) and any(value and word in key for key, value in config.items() for word in words)


def _all(config: dict[str, Any], key: str) -> list[Any]:
    value = config.get(key)
    return value if isinstance(value, list) else []
