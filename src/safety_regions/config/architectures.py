"""What becomes of a model, by its config.json: scored by which methods, or refused with which sentence.

Read by the plan and where a model is fetched, so that a model that cannot be scored is refused before anything rests on
it; no torch is needed.
"""

from collections.abc import Iterable
from typing import Any

from safety_regions.config.layouts import LAYOUTS, SEPARATE, Claim
from safety_regions.config.other_architectures import ADDING, WRONG, kind_of
from safety_regions.errors import UserError

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
    "biogpt",
    "bloom",
    "cohere",
    "cohere2",
    "ctrl",
    "ernie4_5",
    "falcon",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3_text",
    "gpt-sw3",
    "gpt2",
    "gpt_bigcode",
    "gpt_neo",
    "gpt_neox_japanese",
    "granite_swa",
    "internvl",
    "mistral3",
    "modernbert-decoder",
    "mpt",
    "openai-gpt",
    "opt",
    "smollm3",
    "starcoder2",
    "vaultgemma",
    "xglm",
}
"""Model types whose output matrix is their embeddings where config.json does not say."""


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """What the content of a config.json says of the model that continues a text: in a wrapper, its `text_config`."""
    text = config.get("text_config")
    return text if isinstance(text, dict) else config


def kinds_of(model_type: str) -> list[str]:
    """The projections of a block of this model type; of one that is not known, those of a Llama model."""
    modules = LAYOUTS[model_type].modules if model_type in LAYOUTS else SEPARATE
    return [kind for kinds in modules.values() for kind in kinds]


def blocks_path(config: dict[str, Any]) -> str:
    """Where in a model with this config.json, of a known architecture, the blocks of its decoder are."""
    wrapper, own = WRAPPERS.get(_type(config)), LAYOUTS[_type(text_config(config))].path
    return own if wrapper is None else f"{wrapper}.{own.partition('.')[2]}"


def claims(config: dict[str, Any], method: str) -> bool:
    """Whether the method is right for models with this config.json."""
    claim = _claim(config)
    return claim is None or method in claim.methods


def refuse_unclaimed(config: dict[str, Any], methods: Iterable[str], where: str) -> None:
    """Raise `UserError` for a method that is not right for a model of a known architecture, by its config.json."""
    claim = _claim(config)
    unclaimed = [method for method in methods if not claims(config, method)]
    if claim is not None and unclaimed:
        raise UserError(
            f"{unclaimed[0]} is not right for models of type {_type(text_config(config))!r}: {claim.others}",
            where=where,
            expected=f"methods of: {', '.join(claim.methods)}",
            hint=f"leave {unclaimed[0]} out of `methods`, or run this model by itself without it",
        )


def _claim(config: dict[str, Any]) -> Claim | None:
    blocks = LAYOUTS.get(_type(text_config(config)))
    return None if blocks is None else blocks.claim


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
    if known and text.get("slow_but_exact") and text.get("pretraining_tp", 1) > 1:
        reason = "slow_but_exact multiplies parts of its matrices, one after the other"
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
