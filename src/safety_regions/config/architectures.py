"""Which linear layers of an architecture are q, k, v, o, gate, up and down: the only place that knows module names.

Read by the plan and where a model is fetched, so that a model that cannot be scored is refused before anything rests on
it; no torch is needed.
"""

from typing import Any

from safety_regions.errors import UserError

ModuleKinds = dict[str, tuple[str, ...]]
"""Path of a linear module inside a block -> the projections it holds, from its first row on."""

SEPARATE: ModuleKinds = {
    "self_attn.q_proj": ("q",),
    "self_attn.k_proj": ("k",),
    "self_attn.v_proj": ("v",),
    "self_attn.o_proj": ("o",),
    "mlp.gate_proj": ("gate",),
    "mlp.up_proj": ("up",),
    "mlp.down_proj": ("down",),
}
FUSED: ModuleKinds = {
    "self_attn.qkv_proj": ("q", "k", "v"),
    "self_attn.o_proj": ("o",),
    "mlp.gate_up_proj": ("gate", "up"),
    "mlp.down_proj": ("down",),
}
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
    "phi3": FUSED,
}
"""Model type (config.json) -> linear modules of one block, with the projections each holds from its first row on."""


def refuse_unknown(config: dict[str, Any], where: str) -> None:
    """Raise `UserError` for a model whose architecture is not in `LAYOUTS`, by the content of its config.json."""
    model_type = config.get("model_type")
    if model_type in LAYOUTS:
        return
    if config.get("is_encoder_decoder"):
        hint = "its answers are not a continuation of the prompt: take a model that only decodes"
    elif isinstance(config.get("text_config"), dict):
        hint = f"it is a wrapper: its text model alone is of type {config['text_config'].get('model_type')!r}"
    else:
        hint = "add its module names to LAYOUTS in src/safety_regions/config/architectures.py"
    raise UserError(
        f"architecture {model_type!r} is not known", where=where, expected=f"one of: {', '.join(LAYOUTS)}", hint=hint
    )
