"""Which linear layers of an architecture are q, k, v, o, gate, up and down, and where: the only place that knows module
names.

An architecture may have no gate; the others it has. No torch is needed.
"""

from dataclasses import dataclass
from typing import Literal

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
FIRST_SECOND: ModuleKinds = {"mlp.c_fc": ("up",), "mlp.c_proj": ("down",)}
BESIDE: ModuleKinds = {"self_attention.query_key_value": ("q", "k", "v"), "self_attention.dense": ("o",)} | UP_DOWN
OUT_PROJ: ModuleKinds = {
    "self_attn.q_proj": ("q",),
    "self_attn.k_proj": ("k",),
    "self_attn.v_proj": ("v",),
    "self_attn.out_proj": ("o",),
    "fc1": ("up",),
    "fc2": ("down",),
}


@dataclass(frozen=True)
class Claim:
    """Which methods are right for models that have something in common."""

    methods: tuple[str, ...]
    others: str
    """Why all others are not: the end of a sentence about the model."""


UNWATCHED = Claim(
    ("snip", "wanda", "nlsr", "safelayer", "ssah", "direction"),
    "its attention is computed where none but its own code can look on",
)
SINKS = Claim(UNWATCHED.methods, "attention sinks take a part of every row's probability")
DIFFERENCES = Claim(
    ("snip", "wanda", "nlsr", "safelayer"),
    "its attention is the difference of two softmaxes, and a norm stands between it and W_o",
)


@dataclass(frozen=True)
class Blocks:
    """Where the blocks of a model type are, and what each is made of."""

    modules: ModuleKinds
    """The linear modules of one block, with the projections each holds from its first row on, one behind the other."""
    path: str = "model.layers"
    groups: Literal["one", "heads", "keys", "four"] = "one"
    """How often a matrix that holds q, k and v begins anew: not at all, for every head, for every head of keys with
    the queries that read it, or four times."""
    claim: Claim | None = None
    """The methods that are right for it; None: all."""
    mixes_rows: bool = False
    """Whether its linear modules get the tokens of a batch's rows one behind the other."""
    further_positions: int | None = None
    """Rows of a matrix of learned positions, beyond those that its configuration says; None: it has none."""


GPT2 = Blocks(
    {"attn.c_attn": ("q", "k", "v"), "attn.c_proj": ("o",)} | FIRST_SECOND,
    path="transformer.h",
    claim=UNWATCHED,
    further_positions=0,
)
LAYOUTS: dict[str, Blocks] = {
    "llama": Blocks(SEPARATE),
    "mistral": Blocks(SEPARATE),
    "qwen2": Blocks(SEPARATE),
    "qwen3": Blocks(SEPARATE),
    "qwen3_vl_text": Blocks(SEPARATE),
    "gemma": Blocks(SEPARATE),
    "gemma2": Blocks(SEPARATE),
    "gemma3_text": Blocks(SEPARATE),
    "smollm3": Blocks(SEPARATE),
    "olmo2": Blocks(SEPARATE),
    "phi3": Blocks(QKV | GATE_UP),
    "apertus": Blocks(NO_GATE),
    "arcee": Blocks(NO_GATE),
    "cohere": Blocks(SEPARATE),
    "cohere2": Blocks(SEPARATE),
    "cwm": Blocks(SEPARATE),
    "ernie4_5": Blocks(SEPARATE),
    "exaone4": Blocks(SEPARATE),
    "glm": Blocks(ATTENTION | GATE_UP),
    "glm4": Blocks(ATTENTION | GATE_UP),
    "gpt_neox": Blocks(
        {"attention.query_key_value": ("q", "k", "v"), "attention.dense": ("o",)} | UP_DOWN,
        path="gpt_neox.layers",
        groups="heads",
    ),
    "granite": Blocks(SEPARATE),
    "helium": Blocks(SEPARATE),
    "hunyuan_v1_dense": Blocks(SEPARATE),
    "hyperclovax": Blocks(SEPARATE),
    "internlm3": Blocks(SEPARATE),
    "iquestcoder": Blocks(SEPARATE),
    "jais2": Blocks(NO_GATE),
    "ministral": Blocks(SEPARATE),
    "ministral3": Blocks(SEPARATE),
    "nemotron": Blocks(NO_GATE),
    "olmo": Blocks(SEPARATE),
    "olmo3": Blocks(SEPARATE),
    "persimmon": Blocks(
        {"self_attn.query_key_value": ("q", "k", "v"), "self_attn.dense": ("o",)} | UP_DOWN, groups="heads"
    ),
    "phi": Blocks(
        {
            "self_attn.q_proj": ("q",),
            "self_attn.k_proj": ("k",),
            "self_attn.v_proj": ("v",),
            "self_attn.dense": ("o",),
            "mlp.fc1": ("up",),
            "mlp.fc2": ("down",),
        }
    ),
    "seed_oss": Blocks(SEPARATE),
    "stablelm": Blocks(SEPARATE),
    "starcoder2": Blocks(ATTENTION | FIRST_SECOND),
    "vaultgemma": Blocks(SEPARATE),
    "biogpt": Blocks(OUT_PROJ, path="biogpt.layers", claim=UNWATCHED, further_positions=2),
    "bloom": Blocks(BESIDE, path="transformer.h", groups="heads", claim=UNWATCHED),
    "codegen": Blocks(
        {"attn.qkv_proj": ("q", "v", "k"), "attn.out_proj": ("o",), "mlp.fc_in": ("up",), "mlp.fc_out": ("down",)},
        path="transformer.h",
        groups="four",
        claim=UNWATCHED,
    ),
    "ctrl": Blocks(
        {
            "multi_head_attention.Wq": ("q",),
            "multi_head_attention.Wk": ("k",),
            "multi_head_attention.Wv": ("v",),
            "multi_head_attention.dense": ("o",),
            "ffn.0": ("up",),
            "ffn.2": ("down",),
        },
        path="transformer.h",
        claim=UNWATCHED,
    ),
    "diffllama": Blocks(SEPARATE, claim=DIFFERENCES),
    "falcon": Blocks(BESIDE, path="transformer.h", groups="keys", claim=UNWATCHED),
    "gpt_bigcode": Blocks(
        {"attn.c_attn": ("q", "k", "v"), "attn.c_proj": ("o",)} | FIRST_SECOND,
        path="transformer.h",
        groups="keys",
        claim=UNWATCHED,
        further_positions=0,
    ),
    "gpt-sw3": GPT2,
    "gpt2": GPT2,
    "gpt_neo": Blocks(
        {
            "attn.attention.q_proj": ("q",),
            "attn.attention.k_proj": ("k",),
            "attn.attention.v_proj": ("v",),
            "attn.attention.out_proj": ("o",),
        }
        | FIRST_SECOND,
        path="transformer.h",
        claim=UNWATCHED,
        further_positions=0,
    ),
    "gpt_neox_japanese": Blocks(
        {"attention.query_key_value": ("q", "k", "v"), "attention.dense": ("o",)} | UP_DOWN,
        path="gpt_neox_japanese.layers",
        groups="heads",
        claim=UNWATCHED,
    ),
    "gptj": Blocks(
        {
            "attn.q_proj": ("q",),
            "attn.k_proj": ("k",),
            "attn.v_proj": ("v",),
            "attn.out_proj": ("o",),
            "mlp.fc_in": ("up",),
            "mlp.fc_out": ("down",),
        },
        path="transformer.h",
        claim=UNWATCHED,
    ),
    "granite_swa": Blocks(SEPARATE, claim=SINKS),
    "modernbert-decoder": Blocks(
        {
            "attn.q_proj": ("q",),
            "attn.k_proj": ("k",),
            "attn.v_proj": ("v",),
            "attn.Wo": ("o",),
            "mlp.Wi": ("gate", "up"),
            "mlp.Wo": ("down",),
        },
        claim=UNWATCHED,
    ),
    "mpt": Blocks(
        {"attn.Wqkv": ("q", "k", "v"), "attn.out_proj": ("o",), "ffn.up_proj": ("up",), "ffn.down_proj": ("down",)},
        path="transformer.blocks",
        claim=UNWATCHED,
    ),
    "nanochat": Blocks(ATTENTION | {"mlp.fc1": ("up",), "mlp.fc2": ("down",)}, claim=UNWATCHED),
    "openai-gpt": GPT2,
    "opt": Blocks(OUT_PROJ, path="model.decoder.layers", claim=UNWATCHED, mixes_rows=True, further_positions=2),
    "xglm": Blocks(OUT_PROJ, claim=UNWATCHED),
}
"""Model type (config.json) -> its blocks."""
