"""A model of the Hub, pinned by its commit: its prepared folder holds a pointer and the configuration, no weights."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from safety_regions.config.models import GgufModel, HubModel
from safety_regions.errors import UserError
from safety_regions.files import readable_json, write_text
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
    snapshot = _download(source, (CONFIG,))
    if snapshot.name != source.revision:
        raise UserError(f"the Hub gave commit {snapshot.name}", where=where, expected="the pinned commit")
    refuse_configuration(snapshot, where)
    refuse_unsound(_download(source, FILES), where)
    shutil.copyfile(snapshot / CONFIG, folder / CONFIG)
    write_text(folder / POINTER, readable_json({"id": source.id, "revision": source.revision}))
    return {"files": {p.name: p.stat().st_size for p in files_of_model(snapshot)}}


def _download(source: HubModel, files: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    with explained(place_of(source)):
        return Path(
            snapshot_download(
                source.id, revision=source.revision, allow_patterns=list(files), ignore_patterns=list(IGNORED)
            )
        )


def place_of(source: HubModel | GgufModel) -> str:
    """Of a pinned model, for messages."""
    return f"{source.id} @ {source.revision}"


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """What the Hub refuses while the block is open is raised as `UserError`."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError:
        raise UserError("this model is gated", where=where, hint=_token_hint("accept its terms on the Hub")) from None
    except RevisionNotFoundError:
        raise UserError(
            "no such commit", where=where, hint="copy the full commit from the model's history on the Hub"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            "no such model on the Hub, or it is private", where=where, hint=_token_hint("check its id")
        ) from None
    except LocalEntryNotFoundError:
        raise UserError(
            "the Hub cannot be reached and the model is not in the local cache",
            where=where,
            hint="prepare models where there is a network, with HF_HUB_OFFLINE unset and the same HF_HOME",
        ) from None
    except EntryNotFoundError:
        raise UserError(
            "no such file in this model", where=where, hint="copy its name from the model's files on the Hub"
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise UserError(
            f"the download failed: {type(error).__name__}: {str(error).splitlines()[0]}",
            where=where,
            hint="try again; what is complete is kept",
        ) from None


def _token_hint(first: str) -> str:
    held = "the token in HF_TOKEN has no access" if os.environ.get("HF_TOKEN") else "set HF_TOKEN in the environment"
    return f"{first}; {held}"
