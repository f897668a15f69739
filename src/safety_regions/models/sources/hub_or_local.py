"""Models that exist already: on the Hub or in a local folder.

Their prepared folder holds a pointer and the configuration, no weights.
"""

import hashlib
import os
import shutil
from pathlib import Path

from safety_regions.config.models import HubModel, LocalModel
from safety_regions.errors import UserError
from safety_regions.files import readable_json, sha256_of_file, write_text
from safety_regions.models.checks import refuse_incomplete, refuse_unsound

FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "chat_template*",
    "*.safetensors",
    "*.safetensors.index.json",
)
"""Files that make a model, by pattern: all that is downloaded from the Hub, and all that a local folder's digest
covers."""
IGNORED = ("*/*", "consolidated*")
"""Other formats of the same weights, in folders or beside them."""
POINTER = "source.json"
CONFIG = "config.json"
"""In every prepared folder, so that a model's shape is known without its weights."""


def point_to_hub(source: HubModel, folder: Path) -> dict:
    """Bring a pinned Hub model into the local cache and write a pointer to it; facts: where it came from.

    Raises `UserError` for a model that is not there, is gated, whose commit is not the pin, or has no safetensors.
    """
    snapshot = _download(source)
    where = f"{source.id} @ {source.revision}"
    if snapshot.name != source.revision:
        raise UserError(f"the Hub gave commit {snapshot.name}", where=where, expected="the pinned commit")
    refuse_unsound(snapshot, where)
    shutil.copyfile(snapshot / CONFIG, folder / CONFIG)
    write_text(folder / POINTER, readable_json({"id": source.id, "revision": source.revision}))
    return {"files": {p.name: p.stat().st_size for p in _files(snapshot)}}


def _download(source: HubModel) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"{source.id} @ {source.revision}"
    try:
        return Path(
            snapshot_download(
                source.id, revision=source.revision, allow_patterns=list(FILES), ignore_patterns=list(IGNORED)
            )
        )
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
    except (HfHubHTTPError, OSError) as error:
        raise UserError(
            f"the download failed: {type(error).__name__}: {str(error).splitlines()[0]}",
            where=where,
            hint="try again; what is complete is kept",
        ) from None


def _token_hint(first: str) -> str:
    held = "the token in HF_TOKEN has no access" if os.environ.get("HF_TOKEN") else "set HF_TOKEN in the environment"
    return f"{first}; {held}"


def point_to_local(source: LocalModel, folder: Path) -> dict:
    """Check a local model against its digest and write a pointer to its absolute path; facts: its files."""
    path = Path(source.path).expanduser()
    found = folder_digest(path)
    if found != source.sha256:
        raise UserError(
            f"the files of this model have digest {found}",
            where=str(path),
            expected=source.sha256,
            hint="if the change is meant, put the digest that was found into the model registry as sha256",
        )
    refuse_unsound(path, str(path))
    shutil.copyfile(path / CONFIG, folder / CONFIG)
    write_text(folder / POINTER, readable_json({"path": str(path.resolve())}))
    return {"files": {p.name: p.stat().st_size for p in _files(path)}}


def folder_digest(path: Path | str) -> str:
    """sha256 over the lines `<file name> <sha256 of the file>`, sorted by name, of the files that make a model
    (`FILES`).

    Raises `UserError` if there is no such folder, or no config.json or safetensors weights in it.
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError("no such folder", where=str(path), expected="a model's folder")
    refuse_incomplete(path, str(path))
    lines = [f"{p.name} {sha256_of_file(p)}\n" for p in _files(path)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted({p for pattern in FILES for p in path.glob(pattern) if p.is_file()}, key=lambda p: p.name)
