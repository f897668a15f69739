"""The dimensions of a model by its config.json, whatever names its type has for them."""

from typing import Any

from safety_regions.config.architectures import kinds_of

OTHER_NAMES = {
    "hidden_size": ("n_embd", "d_model"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads", "attention_heads"),
    "intermediate_size": ("n_inner", "ffn_dim", "ffn_hidden_size", "dff"),
    "num_key_value_heads": ("num_kv_heads",),
    "max_position_embeddings": ("n_positions",),
}
"""Names of dimensions in Llama's config.json -> those of older types."""


def in_common_names(config: dict[str, Any]) -> dict[str, Any]:
    """The content of the config.json of a text model, in which dimensions that it says go by Llama's names too."""
    said = {
        name: next((config[other] for other in (name, *others) if config.get(other) is not None), None)
        for name, others in OTHER_NAMES.items()
    }
    if (
        said["intermediate_size"] is None
        and said["hidden_size"]
        and "gate" not in kinds_of(config.get("model_type", ""))
    ):
        said["intermediate_size"] = config.get("intermediate_multiple_size", 4) * said["hidden_size"]
    # Without the other, this decides, whatever is said of key heads beside.
    if "multi_query" in config and not config.get("new_decoder_architecture"):
        said["num_key_value_heads"] = 1 if config["multi_query"] else said["num_attention_heads"]
    return config | {name: value for name, value in said.items() if value is not None}
