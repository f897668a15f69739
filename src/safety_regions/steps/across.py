"""The regions of all methods of one model in, one table out: how far they overlap on the weights they own."""

import json
from pathlib import Path

import pandas as pd

from safety_regions import receipts
from safety_regions.across import Question, compare
from safety_regions.errors import UserError
from safety_regions.expand import Layout, layout_of, make_layout
from safety_regions.models.sources import POINTER
from safety_regions.regions import open_region
from safety_regions.steps.overlap import checked_region, given
from safety_regions.store import atomic_path

FLOAT_FORMAT = "%.9g"


def across(recipe: dict, inputs: dict[str, Path], output: Path) -> None:
    """Write across.csv (see `safety_regions.across.compare`) and the folder's receipt.

    `inputs`: the prepared model's folder as `model`, of which only the configuration is read, and each region as
    `<method>/<set>`. Raises `UserError` for inputs that are missing, damaged, or not those of the recipe.
    """
    regions = {
        method: {
            name: checked_region(given(inputs, f"{method}/{name}", "--inputs"), digest) for name, digest in sets.items()
        }
        for method, sets in recipe["regions"].items()
    }
    layout = read_layout(given(inputs, "model", "--inputs"), recipe["model"], _known_shapes(regions))
    table = compare(regions, layout, Question(recipe["safety"], recipe["utility"], recipe["q"], recipe["p"]))
    write_csv(table, output / "across.csv")
    receipts.write(output, recipe, {"methods": sorted(regions)}, versions=("numpy", "pandas"))


def read_layout(folder: Path, digest: str, shapes: dict[str, tuple[int, int]] | None = None) -> Layout:
    """The layout of the model in a folder made by recipe `digest`, from its configuration alone: no weights are read.

    `shapes`: those of its scored matrices, where they are known.
    """
    receipt = receipts.read(folder)
    if receipt.digest != digest:
        raise UserError(f"made by recipe {receipt.digest[:12]}", where=str(folder), expected=f"recipe {digest[:12]}")
    path = _config_path(folder)
    n_heads = json.loads(path.read_text(encoding="utf-8")).get("num_attention_heads")
    if shapes is not None and n_heads is not None:
        return make_layout(shapes, n_heads)
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        config = AutoConfig.from_pretrained(path.parent, local_files_only=True, trust_remote_code=False)
        return layout_of(AutoModelForCausalLM.from_config(config))


def _config_path(folder: Path) -> Path:
    """The model's config.json: in its folder, or where the folder's pointer says."""
    pointer = folder / POINTER
    at = json.loads(pointer.read_text(encoding="utf-8")) if pointer.is_file() else {"path": str(folder)}
    if "path" in at:
        path = Path(at["path"]) / "config.json"
    else:
        from huggingface_hub import try_to_load_from_cache

        path = Path(str(try_to_load_from_cache(at["id"], "config.json", revision=at["revision"])))
    if not path.is_file():
        raise UserError("the model's config.json is not there", where=at.get("path") or f"{at['id']} @ {at['revision']}", hint=f"delete {folder} and run snakemake again where there is a network")  # fmt: skip
    return path


def _known_shapes(regions: dict[str, dict[str, Path]]) -> dict[str, tuple[int, int]] | None:
    """The shapes of the model's scored matrices, if there is a region of single weights."""
    for sets in regions.values():
        with open_region(next(iter(sets.values()))) as region:
            if region.header.granularity == "weight":
                return region.header.shapes
    return None


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table atomically, with equal bytes for equal tables; undefined numbers are empty cells."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format=FLOAT_FORMAT, lineterminator="\n")
