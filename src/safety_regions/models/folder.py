"""A model folder that comes into being as a whole: built beside its place, its receipt written after it."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safety_regions.artifacts.receipts import receipt_path
from safety_regions.errors import UserError, naming
from safety_regions.files import flush, readable_json, share, temporary_prefix

PROBES = (
    "Hello, world! It's 12,345.67 o'clock.",
    "  two\n\nlines\tand  spaces ",
    "na\u00efve \u6f22\u5b57 \U0001f600",
    "def f(x): return x**2",
)
"""Texts on which a saved tokenizer must agree with the one that was saved."""


@contextmanager
def new_folder(folder: Path | str) -> Iterator[Path]:
    """A temporary sibling folder whose files become those of `folder` when the block ends without an error.

    A receipt that is there goes first, and the caller writes one afterwards, so a folder with a receipt is whole.
    `folder` may exist: what an earlier attempt left is replaced, but a file that the new folder does not have raises
    `UserError`, since it may be somebody's.
    """
    folder = Path(folder)
    with naming(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=temporary_prefix(folder), suffix=".tmp"))
        try:
            yield temporary
            _refuse_foreign(folder, {path.name for path in temporary.iterdir()})
            _move(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _refuse_foreign(folder: Path, new: set[str]) -> None:
    foreign = sorted(p.name for p in folder.iterdir() if p.name not in new) if folder.exists() else []
    if foreign:
        raise UserError(
            f"the output folder holds other files: {', '.join(foreign[:5])}",
            where=str(folder),
            expected="no folder, an empty one, or the remains of an earlier attempt",
            hint="move them away",
        )


def _move(temporary: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    receipt_path(folder).unlink(missing_ok=True)
    for path in sorted(temporary.iterdir()):
        share(path)
        flush(path)
        os.replace(path, folder / path.name)
    flush(folder)


@contextmanager
def without_bars() -> Iterator[None]:
    """transformers' own progress bars off: they write control characters into logs."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save weights (safetensors) and tokenizer as flat files, the same bytes for the same content.

    Raises `UserError` if the tokenizer does not come back as it was.
    """
    with without_bars():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    options = json.loads(path.read_text(encoding="utf-8"))
    # Sorted, since transformers writes options in the order of their first use, and without where they came from.
    kept = {key: value for key, value in options.items() if key not in ("is_local", "local_files_only")}
    path.write_text(readable_json(kept), encoding="utf-8")
    _check_tokenizer(tokenizer, folder)


def _check_tokenizer(tokenizer: Any, folder: Path) -> None:
    # AutoTokenizer swaps the rules of some families' tokenizers for its own; the model would read other tokens than
    # here.
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(folder)
    if any(loaded(text)["input_ids"] != tokenizer(text)["input_ids"] for text in PROBES):
        raise UserError(
            "the tokenizer cuts text differently once it was saved and loaded",
            where=f"transformers' {type(loaded).__name__}",
            hint="this version of transformers cannot hold this tokenizer; report it",
        )
