"""The files that make a model in a folder: which they are, and the digest that pins them."""

import hashlib
import json
from pathlib import Path

from safety_regions.errors import UserError
from safety_regions.files import sha256_of_file
from safety_regions.models.checks import refuse_incomplete

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


def folder_digest(path: Path | str, *, scored: bool = True) -> str:
    """sha256 over the lines `<file name> <sha256 of the file>`, sorted by name, of the files that make a model
    (`FILES`).

    Raises `UserError` if there is no such folder, or no config.json or safetensors weights in it, and for a model that
    is to be `scored` and cannot be.
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError("no such folder", where=str(path), expected="a model's folder")
    refuse_incomplete(path, str(path), scored=scored)
    lines = [f"{p.name} {sha256_of_file(p)}\n" for p in files_of_model(path)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def is_classifier(path: Path) -> bool:
    """Whether the config.json in a folder is of a text classifier."""
    try:
        named = json.loads((path / CONFIG).read_text(encoding="utf-8"))["architectures"]
        return any(str(name).endswith("ForSequenceClassification") for name in named)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def files_of_model(path: Path) -> list[Path]:
    """The files in a folder that make the model, by name."""
    return sorted({p for pattern in FILES for p in path.glob(pattern) if p.is_file()}, key=lambda p: p.name)
