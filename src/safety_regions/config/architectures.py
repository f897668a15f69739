"""Which linear layers of an architecture are q, k, v, o, gate, up and down: the only place that knows module names.

An architecture may have no gate; the others it has. Read by the plan and where a model is fetched, so that a model that
cannot be scored is refused before anything rests on it; no torch is needed.
"""

from typing import Any

from safety_regions.config.other_architectures import ADDING, WRONG, kind_of
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
    "qwen3_vl_text": SEPARATE,
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
    "qwen3_vl": "model.language_model",
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


def refuse_unknown(config: dict[str, Any], where: str) -> None:
    """Raise `UserError` for a model that cannot be scored, by the content of its config.json.

    That is one whose architecture is not in `LAYOUTS`, or in `WRAPPERS` around one that is; or whose positions attend
    to later ones; or one that would be scored wrongly. The message says what kind of model it is.
    """
    if not config.get("model_type"):
        raise UserError(
            "no model_type",
            where=where,
            expected="the name of the architecture",
            hint="take config.json from its model",
        )
    text = text_config(config)
    model_type, own = _type(config), _type(text)
    known = own in LAYOUTS and (own == model_type or model_type in WRAPPERS)
    if known and text.get("use_bidirectional_attention"):
        raise UserError(
            "use_bidirectional_attention: positions attend to later ones",
            where=where,
            expected="a model that continues a text",
            hint="this one makes embeddings: take the model that it was made from",
        )
    reason = WRONG.get(model_type) or WRONG.get(own)
    if known and own != model_type and (own in SCALED_LOGITS or text.get("final_logit_softcapping")):
        reason = f"around {own!r} it leaves out what that does to its logits"
    if known and not reason:
        return
    found, hint = "is not known", ADDING
    if reason:
        found, hint = f"would be scored wrongly: {reason}", "take a model of another architecture"
    elif kind := kind_of(config, text):
        found, hint = f"{found}: {kind.reason}", kind.hint
    elif own != model_type:
        decoder = "a known type" if own in LAYOUTS else "a type that is not known either"
        found += f": it is a wrapper around a decoder of {decoder}"
        hint = f"its decoder is of type {own!r}; docs/add-a-model.md says how a wrapper is added"
    raise UserError(
        f"architecture {model_type!r} {found}",
        where=where,
        expected=f"one of: {', '.join(sorted({*LAYOUTS, *WRAPPERS}))}",
        hint=hint,
    )


def _type(config: dict[str, Any]) -> str:
    return str(config.get("model_type"))
