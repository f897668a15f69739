"""The kinds of artifacts: one row for each, in the order in which a run makes them."""

from dataclasses import dataclass
from typing import Literal

SELECTION = 2
"""Version of how regions are cut from scores, whatever the method; raised with any change of code that changes their
bytes."""
TRAINED = {"tiny", "aligned"}
"""Sources of models whose weights are made by this pipeline; all other models come from where they are pinned."""


@dataclass(frozen=True)
class Kind:
    """What the pipeline knows of a kind of artifact beside its recipe."""

    name: str
    version: int | None
    """Raised with any change of code that changes the bytes of this kind. None: its method's
    (`config/method_catalogue.py`)."""
    suffix: str
    """Of its paths: `.jsonl`, ...; `/` and the name of a file that is always in it makes a folder."""
    folder: str
    """Below `results/`."""
    makers: tuple[str, ...]
    """Modules of this package that make it; all code that decides its bytes is reached from them by imports. What
    stands in braces is taken from the recipe."""
    script: str
    """Of `scripts/`, without its ending: what a job calls."""
    shared: Literal["git", "dvc", "nowhere"]
    """Where it is published: small tables in git; bytes through DVC, of models only those that are trained here;
    nowhere what is quick to make again from tables."""
    step: str | None = None
    """The step by whose memory and time it is planned; None for one that needs little, or where the recipe tells."""
    told: tuple[str, ...] = ()
    """Settings of the machine that its job is told."""
    alone: bool = False
    """Whether a job makes one, and not a batch of them."""
    noun: str = ""
    """What people call it, where that is not its name."""


_MEASURED = ("steps.measure", "methods.{method}")
_SELECTED = ("steps.measure", "steps.select_region", "methods.{method}")
_SOURCE = ("steps.prepare_model", "models.sources.{source[kind]}")
_SCORING = ("device", "batch_tokens")
_ROWS = (
    Kind("dataset", 2, ".jsonl", "datasets", ("steps.fetch_dataset",), "fetch_dataset", "dvc", alone=True),
    Kind("prompts", 2, ".jsonl", "prompts", ("steps.prompts",), "sample_prompts", "dvc", alone=True),
    Kind("prompt_overlap", 2, ".csv", "prompt_overlap", ("steps.prompt_overlap",), "prompt_overlap", "git", alone=True),
    Kind("model", 2, "/config.json", "models", _SOURCE, "prepare_model", "dvc", alone=True),
    Kind("adapter", 2, "/lora.json", "adapters", ("steps.adapter",), "train_adapter", "dvc", "train", alone=True),
    Kind("pairs", 3, ".jsonl", "responses", ("steps.respond",), "respond", "dvc", "respond", ("device",)),
    Kind("statistics", None, ".safetensors", "statistics", _MEASURED, "measure", "dvc", "measure", _SCORING),
    Kind("region", None, ".safetensors", "regions", _SELECTED, "measure", "dvc", told=_SCORING),
    Kind(
        "refined",
        1,
        ".safetensors",
        "refined",
        ("steps.refine",),
        "refine_regions",
        "dvc",
        "refine",
        noun="refined region",
    ),
    Kind("overlap", 3, "/pairs.parquet", "overlap", ("steps.overlap",), "overlap", "git", "overlap"),
    Kind(
        "replicates",
        2,
        "/replicates.parquet",
        "replicates",
        ("steps.replicates",),
        "overlap",
        "git",
        "overlap",
        noun="comparison",
    ),
    Kind("figures", 5, "/iou_matrix.csv", "figures", ("steps.draw_figures",), "draw_figures", "nowhere"),
    Kind("layer_curves", 4, "/gap.csv", "curves", ("steps.draw_figures",), "draw_figures", "git", noun="curves"),
    Kind("across", 2, "/across.csv", "across", ("steps.across",), "overlap", "git", "overlap", noun="comparison"),
    Kind(
        "alignment",
        1,
        "/alignment.parquet",
        "alignment",
        ("steps.alignment",),
        "overlap",
        "git",
        "overlap",
        noun="comparison",
    ),
    Kind(
        "evaluate",
        2,
        "/evaluate.csv",
        "evaluate",
        ("steps.evaluate",),
        "evaluate",
        "git",
        "evaluate",
        ("device",),
        noun="evaluation",
    ),
    Kind(
        "constrain",
        1,
        "/constrain.csv",
        "constrain",
        ("steps.constrain",),
        "constrain",
        "git",
        "constrain",
        ("device",),
        noun="fine-tuning",
    ),
    Kind("report", 10, "/summary.md", "report", ("steps.report",), "write_report", "nowhere", alone=True),
)
KINDS = {kind.name: kind for kind in _ROWS}
VERSIONS = {kind.name: kind.version for kind in _ROWS if kind.version is not None} | {"selection": SELECTION}
"""The versions that recipes name, but those of methods."""


def is_trained(model: dict) -> bool:
    """Whether this pipeline trains the model of a recipe, rather than fetching it."""
    return model.get("source", {}).get("kind") in TRAINED


def is_stored(recipe: dict) -> bool:
    """Whether the bytes of what a recipe makes are published through DVC."""
    kind = recipe.get("kind")
    return is_trained(recipe) if kind == "model" else kind in KINDS and KINDS[kind].shared == "dvc"


def is_table(kind: str) -> bool:
    """Whether artifacts of a kind are small tables, which are published in git as they are."""
    return kind in KINDS and KINDS[kind].shared == "git"
