"""A model of the Hub, pinned by its commit: its prepared folder holds a pointer and the configuration, no weights."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from safety_regions.config.models import GgufModel, HubModel
from safety_regions.errors import UserError
from safety_regions.files import readable_json, write_text
from safety_regions.hub import hub_errors
from safety_regions.models.checks import refuse_configuration, refuse_unsound
from safety_regions.models.model_files import CONFIG, FILES, IGNORED, POINTER, files_of_model
from safety_regions.models.sources import Inputs, Wanted

PACKAGES: tuple[str, ...] = ()


def make(source: HubModel, recipe: Wanted, inputs: Inputs, folder: Path) -> dict:
    """Bring a pinned Hub model into the local cache and write a pointer to it; facts: where it came from.

    Raises `UserError` for a model that is not there, is gated, whose commit is not the pin, whose architecture is not
    known, or has no safetensors.
    """
    where = place_of(source)
    # What the configuration can tell is told before gigabytes are fetched.
    snapshot = download(source.id, source.revision, (CONFIG,))
    refuse_configuration(snapshot, where, inputs.methods)
    refuse_unsound(download(source.id, source.revision, FILES), where)
    shutil.copyfile(snapshot / CONFIG, folder / CONFIG)
    write_text(folder / POINTER, readable_json({"id": source.id, "revision": source.revision}))
    return {"files": {p.name: p.stat().st_size for p in files_of_model(snapshot)}}


def download(id: str, revision: str, files: Sequence[str]) -> Path:
    """The folder of the local cache that holds the files of a pinned model, those of these patterns.

    Raises `UserError` for a model that is not there, is gated, or whose commit is not the pin.
    """
    from huggingface_hub import snapshot_download

    where = f"{id} @ {revision}"
    with hub_errors("model", id, revision, where):
        snapshot = Path(
            snapshot_download(id, revision=revision, allow_patterns=list(files), ignore_patterns=list(IGNORED))
        )
    if snapshot.name != revision:
        raise UserError(f"the Hub gave commit {snapshot.name}", where=where, expected="the pinned commit")
    return snapshot


def place_of(source: HubModel | GgufModel) -> str:
    """Of a pinned model, for messages."""
    return f"{source.id} @ {source.revision}"
