"""Write docs/architectures.md: what becomes of a model of every type that transformers has for models that answer."""

import re
from pathlib import Path

from transformers import CONFIG_MAPPING, __version__
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from safety_regions.config.architectures import refuse_unknown
from safety_regions.config.layouts import LAYOUTS
from safety_regions.errors import UserError

PAGE = Path(__file__).resolve().parent / "architectures.md"
SCORED = "scored by every method"
HEAD = """# Which architectures are scored

<!-- Written by `python docs/list_architectures.py`; tests/project/test_docs_architectures.py checks it. -->

What becomes of a model, by the `model_type` of its config.json: every type that transformers {version} has for causal
language models, and for models that read images and texts. Others are refused as well. A model is refused before its
weights are fetched, a local folder by `snakemake -n`, with this sentence and what to do about it.
[How one is added](add-a-model.md#add-an-architecture).

| What becomes of it | | Model types |
|---|--:|---|
"""


def fate(model_type: str) -> str:
    """By which methods models of this type are scored, or the sentence with which they are refused."""
    try:
        config = CONFIG_MAPPING[model_type]().to_dict() | {"model_type": model_type}
    # Of one that has no defaults, nothing but its type.
    except Exception:
        config = {"model_type": model_type}
    try:
        refuse_unknown(config, "config.json")
    except UserError as error:
        return "refused: " + re.sub(r"^architecture '.*?' (is not known: |is )?", "", error.found)
    claim = LAYOUTS[model_type].claim if model_type in LAYOUTS else None
    return SCORED if claim is None else f"scored by {', '.join(claim.methods)} alone: {claim.others}"


def page() -> str:
    """The page for the transformers that is installed."""
    fates: dict[str, list[str]] = {}
    for model_type in sorted({*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES}):
        fates.setdefault(fate(model_type), []).append(model_type)
    rows = sorted(fates.items(), key=lambda row: (row[0] != SCORED, row[0].startswith("refused"), -len(row[1]), row[0]))
    lines = [f"| {said} | {len(types)} | {', '.join(f'`{name}`' for name in types)} |\n" for said, types in rows]
    return HEAD.format(version=__version__) + "".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
