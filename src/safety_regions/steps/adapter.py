"""A LoRA safety adapter for a model that has none of its own: one per model, whatever is then identified with it.

Adapters have a rotation freedom (B A = (B R)(R^-1 A)), so regions on their weights compare only under one fixed
adapter.
"""

from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.models.folder import new_folder
from safety_regions.planning.recipes.models import AdapterRecipe
from safety_regions.steps.training_data import check_rows

VERSIONS = ("peft", "safetensors", "tokenizers", "torch", "transformers")


def train_adapter(
    recipe: AdapterRecipe, model_folder: Path, data: dict[str, Path], output: Path, device: str = "auto"
) -> receipts.Receipt:
    """Make the folder that `load_adapter` loads, with its receipt, whole or not at all. Returns the receipt.

    The recipe's `options` are those of `models.adapter.Decided`; `model` and `data` are digests of recipes. `data`:
    fetched rows by dataset. The model is loaded in float32 and stays on disk as it is. The facts are those of
    `train_and_merge`. Raises `UserError` for inputs that are missing, altered, of another recipe, or too few.
    """
    from safety_regions.models.adapter_training import Decided, read_splits, train_and_merge
    from safety_regions.models.load import load_model

    options = Decided.model_validate(recipe.options)
    check_rows(data, recipe.data)
    splits = read_splits(options, data)
    loaded = load_model(model_folder, device, "float32", recipe.model)
    with new_folder(output) as folder:
        _, facts = train_and_merge(options, loaded, splits, folder, "float32")
    return receipts.write(output, recipe.as_json(), facts, versions=VERSIONS)
