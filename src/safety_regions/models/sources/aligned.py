"""An aligned model: another model with a LoRA safety adapter, trained here, merged into its weights."""

from pathlib import Path

from safety_regions.config.models import AlignedModel
from safety_regions.models.adapter_training import read_splits, train_and_merge
from safety_regions.models.folder import save
from safety_regions.models.load import load_model


def make_aligned(
    source: AlignedModel,
    dtype: str,
    base: Path,
    data: dict[str, Path],
    digests: dict[str, str],
    folder: Path,
    device: str = "auto",
) -> dict:
    """Train the adapter on the model in `base`, save adapter and merged model in `folder`, return the facts of
    `train_and_merge`.

    `data`: fetched rows by dataset; `digests`: of their recipes. Raises `UserError` for missing or altered inputs, too
    few rows, or a harmless row without a response.
    """
    splits = read_splits(source, data, digests)
    merged, facts = train_and_merge(source, load_model(base, device, "float32"), splits, folder, dtype)
    save(merged.model, merged.tokenizer, folder)
    return facts
