"""Where the parts of a run are shared: small ones in git, bytes through DVC, and what is quick to make again nowhere."""

from safety_regions.artifacts.artifact import Artifact

GIT = {"overlap", "replicates", "across", "evaluate", "prompt_overlap", "layer_curves"}
"""Tables, from which figures and reports are made again in a minute; their receipts are in git as all others are."""
DVC = {"dataset", "prompts", "pairs", "statistics", "region", "adapter"}
"""Bytes: a pointer in git, the content in DVC's remote."""
TRAINED = {"tiny", "aligned"}
"""Sources of models whose weights are made by this pipeline; all other models come from where they are pinned."""
NOWHERE = {"figures", "report"}
"""Made again from tables; `figures/` holds a copy of a published run's report."""


def is_for_dvc(artifact: Artifact) -> bool:
    """Whether the bytes of an artifact are published through DVC."""
    return is_stored(artifact.kind, artifact.recipe)


def is_stored(kind: str, recipe: dict) -> bool:
    """Whether the bytes of what a recipe of this kind makes are published through DVC."""
    return kind in DVC or (kind == "model" and recipe.get("source", {}).get("kind") in TRAINED)


def has_shared_receipt(artifact: Artifact) -> bool:
    """Whether the receipt of an artifact is published: that of every one but figures and reports."""
    return artifact.kind not in NOWHERE


VERSIONS = {
    "dataset": 1,
    "prompts": 1,
    "prompt_overlap": 1,
    "model": 1,
    "pairs": 1,
    "selection": 1,
    "adapter": 1,
    "overlap": 2,
    "replicates": 1,
    "across": 1,
    "evaluate": 1,
    "figures": 2,
    "layer_curves": 1,
    "report": 4,
}
"""Raised with any change of the code that changes the bytes of that kind. Methods have theirs in
`methods/catalogue.py`."""


STEPS = {
    "pairs": "respond",
    "statistics": "measure",
    "evaluate": "evaluate",
    "adapter": "train",
    "overlap": "overlap",
    "across": "overlap",
    "replicates": "overlap",
}
"""Steps by the kind of what they make; of regions and models the recipe tells."""
KINDS = (
    "dataset",
    "prompts",
    "prompt_overlap",
    "model",
    "adapter",
    "pairs",
    "statistics",
    "region",
    "overlap",
    "replicates",
    "figures",
    "layer_curves",
    "across",
    "evaluate",
    "report",
)
NOUNS = {"evaluate": "evaluation", "layer_curves": "curves", "across": "comparison", "replicates": "comparison"}
"""What artifacts of a kind are called, where that is not the kind."""


def is_trained(model: Artifact) -> bool:
    """Whether this pipeline trains the model, rather than fetching it."""
    return model.recipe["source"]["kind"] in ("tiny", "aligned")
