"""Which linear layers of an architecture are q, k, v, o, gate, up and down: the only place that knows module names.

An architecture may have no gate; the others it has. Read by the plan and where a model is fetched, so that a model that
cannot be scored is refused before anything rests on it; no torch is needed.
"""

from typing import Any

from safety_regions.errors import UserError

ModuleKinds = dict[str, tuple[str, ...]]
"""Path of a linear module inside a block -> the projections it holds."""

SEPARATE: ModuleKinds = {
    "self_attn.q_proj": ("q",),
    "self_attn.k_proj": ("k",),
    "self_attn.v_proj": ("v",),
    "self_attn.o_proj": ("o",),
    "mlp.gate_proj": ("gate",),
    "mlp.up_proj": ("up",),
    "mlp.down_proj": ("down",),
}
QKV: ModuleKinds = {"self_attn.qkv_proj": ("q", "k", "v"), "self_attn.o_proj": ("o",)}
GATE_UP: ModuleKinds = {"mlp.gate_up_proj": ("gate", "up"), "mlp.down_proj": ("down",)}
ATTENTION: ModuleKinds = {path: kinds for path, kinds in SEPARATE.items() if path.startswith("self_attn.")}
NO_GATE: ModuleKinds = ATTENTION | {"mlp.up_proj": ("up",), "mlp.down_proj": ("down",)}
UP_DOWN: ModuleKinds = {"mlp.dense_h_to_4h": ("up",), "mlp.dense_4h_to_h": ("down",)}
LAYOUTS: dict[str, ModuleKinds] = {
    "llama": SEPARATE,
    "mistral": SEPARATE,
    "qwen2": SEPARATE,
    "qwen3": SEPARATE,
    "gemma": SEPARATE,
    "gemma2": SEPARATE,
    "gemma3_text": SEPARATE,
    "smollm3": SEPARATE,
    "olmo2": SEPARATE,
    "phi3": QKV | GATE_UP,
    "apertus": NO_GATE,
    "arcee": NO_GATE,
    "cohere": SEPARATE,
    "cohere2": SEPARATE,
    "cwm": SEPARATE,
    "ernie4_5": SEPARATE,
    "exaone4": SEPARATE,
    "glm": ATTENTION | GATE_UP,
    "glm4": ATTENTION | GATE_UP,
    "gpt_neox": {"attention.query_key_value": ("q", "k", "v"), "attention.dense": ("o",)} | UP_DOWN,
    "granite": SEPARATE,
    "helium": SEPARATE,
    "hunyuan_v1_dense": SEPARATE,
    "hyperclovax": SEPARATE,
    "internlm3": SEPARATE,
    "iquestcoder": SEPARATE,
    "jais2": NO_GATE,
    "ministral": SEPARATE,
    "ministral3": SEPARATE,
    "nemotron": NO_GATE,
    "olmo": SEPARATE,
    "olmo3": SEPARATE,
    "persimmon": {"self_attn.query_key_value": ("q", "k", "v"), "self_attn.dense": ("o",)} | UP_DOWN,
    "phi": {
        "self_attn.q_proj": ("q",),
        "self_attn.k_proj": ("k",),
        "self_attn.v_proj": ("v",),
        "self_attn.dense": ("o",),
        "mlp.fc1": ("up",),
        "mlp.fc2": ("down",),
    },
    "seed_oss": SEPARATE,
    "stablelm": SEPARATE,
    "starcoder2": ATTENTION | {"mlp.c_fc": ("up",), "mlp.c_proj": ("down",)},
    "vaultgemma": SEPARATE,
}
"""Model type (config.json) -> linear modules of one block, with the projections each holds from its first row on, one
behind the other."""

BY_HEAD = {"gpt_neox", "persimmon"}
"""Model types whose fused matrix holds q, k and v of the first head, then those of the next."""

DECODERS = {"gpt_neox": "gpt_neox"}
"""Model types whose decoder is not called `model` -> where it is."""

WRAPPERS: dict[str, str] = {
    "gemma3": "model.language_model",
    "idefics3": "model.text_model",
    "internvl": "model.language_model",
    "llava": "model.language_model",
    "llava_next": "model.language_model",
    "llava_onevision": "model.language_model",
    "mistral3": "model.language_model",
    "smolvlm": "model.text_model",
}
"""Model types that put encoders of images before a decoder -> where that decoder is. Its own type, of `LAYOUTS`, stands
in `text_config`; it alone is scored, on texts without images."""

SCALED_LOGITS = {"cohere", "cohere2", "gemma2", "granite", "hyperclovax", "vaultgemma"}
"""Model types of `LAYOUTS` whose logits are scaled or capped behind the output matrix; in a wrapper they are not."""

TIED = {
    "cohere",
    "cohere2",
    "ernie4_5",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3_text",
    "internvl",
    "mistral3",
    "smollm3",
    "starcoder2",
    "vaultgemma",
}
"""Model types whose output matrix is their embeddings where config.json does not say."""


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """What the content of a config.json says of the model that continues a text: in a wrapper, its `text_config`."""
    text = config.get("text_config")
    return text if isinstance(text, dict) else config


def kinds_of(model_type: str) -> list[str]:
    """The projections of a block of this model type; of one that is not known, those of a Llama model."""
    return [kind for kinds in LAYOUTS.get(model_type, SEPARATE).values() for kind in kinds]


UNSCALED = "it leaves out the scale that its text model has behind the output matrix"
WRONG: dict[str, str] = {
    "aya_vision": UNSCALED,
    "bitnet": "a norm over all channels stands between its attention and W_o: no value neuron can be taken out alone",
    "cohere2_vision": UNSCALED,
    "diffllama": "its attention is the difference of two softmaxes, and a norm stands between it and W_o",
    "doge": "its values decide what is attended to",
    "flint": "attention sinks take a part of every row's probability",
    "gemma3n_text": "its feed-forward keeps channels above a quantile of all, and layers share keys and values",
    "gemma4_text": "its values pass a norm, and layers share keys and values",
    "gpt_oss": "attention sinks take a part of every row's probability",
    "granite_swa": "attention sinks take a part of every row's probability",
    "llama4_text": "positions attend within chunks alone, and most of its feed-forward is experts",
}
"""Model types whose blocks or attention look like those of `LAYOUTS`, and what makes scores of them wrong."""


def refuse_unknown(config: dict[str, Any], where: str) -> None:
    """Raise `UserError` for a model that cannot be scored, by the content of its config.json.

    That is one whose architecture is not in `LAYOUTS`, or whose positions attend to later ones.
    """
    model_type: Any = config.get("model_type")
    text = text_config(config)
    own: Any = text.get("model_type")
    if own in LAYOUTS and (own == model_type or model_type in WRAPPERS):
        if text.get("use_bidirectional_attention"):
            raise UserError(
                "use_bidirectional_attention: positions attend to later ones",
                where=where,
                expected="a model that continues a text",
                hint="this one makes embeddings: take the model that it was made from",
            )
        if own == model_type or not (own in SCALED_LOGITS or text.get("final_logit_softcapping")):
            return
    if reason := WRONG.get(model_type) or WRONG.get(own):
        found, hint = f"{model_type!r} would be scored wrongly: {reason}", "take a model of another architecture"
    elif own in LAYOUTS and model_type in WRAPPERS:
        found = f"{model_type!r} around {own!r} would be scored wrongly: it leaves out what {own!r} does to its logits"
        hint = "take a model of another architecture"
    else:
        found = f"{model_type!r} is not known"
        if config.get("is_encoder_decoder"):
            hint = "its answers are not a continuation of the prompt: take a model that only decodes"
        elif own != model_type:
            hint = f"it is a wrapper: its text model alone is of type {own!r}"
        else:
            hint = "docs/add-a-model.md says how one is added to src/safety_regions/config/architectures.py"
    known = ", ".join(sorted({*LAYOUTS, *WRAPPERS}))
    raise UserError(f"architecture {found}", where=where, expected=f"one of: {known}", hint=hint)
