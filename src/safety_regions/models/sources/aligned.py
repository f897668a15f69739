"""An aligned model: another model with a LoRA safety adapter, trained here, merged into its weights."""

from pathlib import Path

from safety_regions.config.models import AlignedModel
from safety_regions.errors import UserError
from safety_regions.models.adapter_training import read_splits, train_and_merge
from safety_regions.models.folder import save
from safety_regions.models.load import load_model
from safety_regions.models.sources import Inputs, Wanted

PACKAGES = ("peft", "safetensors", "tokenizers", "torch", "transformers")


def make(source: AlignedModel, recipe: Wanted, inputs: Inputs, folder: Path) -> dict:
    """Train the adapter on the base model, save adapter and merged model in `folder`, return the facts of
    `train_and_merge`.

    The rows of datasets are checked already. Raises `UserError` for missing inputs, a base model that was altered, too
    few rows, or a harmless row without a response.
    """
    if inputs.base is None:
        raise UserError("the base model's folder is not given", where="--base")
    splits = read_splits(source, inputs.data)
    base = load_model(inputs.base, inputs.device, "float32", recipe.base)
    merged, facts = train_and_merge(source, base, splits, folder, recipe.dtype)
    save(merged.model, merged.tokenizer, folder)
    return facts
