"""The regions of all methods of one model in, one table out: how far they overlap on the weights they own."""

import json
from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.config.architectures import kinds_of, text_config
from safety_regions.config.text_dimensions import in_common_names
from safety_regions.errors import UserError
from safety_regions.overlap.across_methods import Question, compare
from safety_regions.planning.recipes.tables import AcrossRecipe
from safety_regions.regions.format import kind_of, open_region
from safety_regions.regions.owned_weights import Layout, make_layout
from safety_regions.steps.entry import Entry
from safety_regions.table_files import write_csv


def across(entry: Entry[AcrossRecipe]) -> None:
    """Write across.csv (see `safety_regions.overlap.across_methods.compare`) and the folder's receipt.

    Inputs by role: the prepared model's folder as `model`, of which only the configuration is read, and each region as
    `<method>/<set>`. Raises `UserError` for those that are missing, damaged, or not the recipe's.
    """
    recipe = entry.recipe
    regions = {
        method: {name: entry.region(f"{method}/{name}") for name in of_sets}
        for method, of_sets in recipe.regions.items()
    }
    layout = read_layout(entry.inputs["model"], recipe.model, _shapes_of(regions))
    table = compare(regions, layout, Question(recipe.safety, recipe.utility, recipe.q, recipe.p))
    write_csv(table, entry.path / "across.csv")
    entry.done({"methods": sorted(regions)}, versions=("numpy", "pandas"))


def read_layout(folder: Path, digest: str, shapes: dict[str, tuple[int, int]] | None = None) -> Layout:
    """The layout of the model in a folder made by recipe `digest`, from its configuration alone: no weights are read.

    `shapes`: those of matrices that are known. Where they are all that are scored the model is not built.
    """
    receipt = receipts.read(folder)
    if receipt.digest != digest:
        raise UserError(f"made by recipe {receipt.digest[:12]}", where=str(folder), expected=f"recipe {digest[:12]}")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = in_common_names(text_config(config))
    n_heads = text.get("num_attention_heads")
    if shapes and n_heads is not None and {kind_of(name) for name in shapes} == {*kinds_of(text["model_type"])}:
        return make_layout(shapes, n_heads)
    import torch
    from transformers import AutoConfig

    from safety_regions.models.architecture import auto_class, layout_of

    with torch.device("meta"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return layout_of(auto_class(config.model_type).from_config(config))


def _shapes_of(regions: dict[str, dict[str, Path]]) -> dict[str, tuple[int, int]]:
    """The shapes of the matrices that regions of single weights have: of the method with the most of them."""
    found: dict[str, tuple[int, int]] = {}
    for sets in regions.values():
        with open_region(next(iter(sets.values()))) as region:
            if region.header.granularity == "weight" and len(region.header.shapes) > len(found):
                found = region.header.shapes
    return found
