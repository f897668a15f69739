"""Receipts: what an artifact is, what it was made from, and the sha256 of each of its files.

Beside the file or folder `X` lies `X.receipt.json`, the same bytes whenever it is made on one kind of machine, and
`X.run.json` with the facts of one run (host, time, memory). Every consumer calls `check` before it uses an artifact.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from safety_regions.artifacts.code_history import code_of
from safety_regions.artifacts.run_facts import run_facts, version_of
from safety_regions.errors import UserError, unreadable
from safety_regions.files import canonical_json, load_json, readable_json, sha256_of_file, sha256_of_text, write_text

RECEIPT = ".receipt.json"
RUN = ".run.json"


def recipe_digest(recipe: dict) -> str:
    """sha256 of the recipe's canonical JSON; its first 12 digits stand in the artifact's path."""
    return sha256_of_text(canonical_json(recipe))


@dataclass(frozen=True)
class Receipt:
    """The checked content of a receipt file."""

    recipe: dict
    digest: str
    files: dict[str, str]
    """sha256 of each file of the artifact, by file name."""
    facts: dict
    """Deterministic facts about the content: counts, rates, licence, citation."""
    code: dict[str, str]
    """Digest of each module that decided the bytes (`safety_regions.artifacts.code_digests`)."""


_RECEIPT = TypeAdapter(Receipt)


def receipt_path(artifact: Path | str) -> Path:
    """Where the receipt of a file or folder lies: beside it."""
    artifact = Path(artifact)
    return artifact.with_name(artifact.name + RECEIPT)


def run_path(artifact: Path | str) -> Path:
    """Where the facts of the run that made an artifact lie."""
    artifact = Path(artifact)
    return artifact.with_name(artifact.name + RUN)


def paths_of(artifact: Path | str, receipt: Receipt) -> dict[str, Path]:
    """The files of an artifact by the names that its receipt has for them, whether they are there or not."""
    artifact = Path(artifact)
    alone = set(receipt.files) == {artifact.name} and not artifact.is_dir()
    return {name: artifact if alone else artifact / name for name in receipt.files}


def write(
    artifact: Path | str,
    recipe: dict,
    facts: dict[str, Any],
    *,
    versions: tuple[str, ...] = (),
    run: dict[str, Any] | None = None,
) -> Receipt:
    """Write the receipt (and the run's facts) of a file or folder that is already in place.

    For a folder, every file in it is hashed. `versions`: packages that decide the bytes. Which of our modules do is
    known by the recipe's kind. `run`: what the run's facts hold beside those of its process.
    """
    artifact = Path(artifact)
    members = sorted(p for p in artifact.iterdir() if p.is_file()) if artifact.is_dir() else [artifact]
    files = {p.name: sha256_of_file(p) for p in members if not p.name.endswith(".tmp")}
    receipt = Receipt(recipe, recipe_digest(recipe), files, facts, code_of(recipe))
    write_text(run_path(artifact), readable_json(run_facts() | (run or {})))
    content = {"digest": receipt.digest, "facts": facts, "files": files, "recipe": recipe, "code": None}
    content["versions"] = {name: version_of(name) for name in sorted(versions)}
    # Digests of code are for machines: on one line they do not hide the rest. Keys are sorted, so `code` comes first.
    text = readable_json(content).replace('"code": null', f'"code": {canonical_json(receipt.code)}', 1)
    write_text(receipt_path(artifact), text)
    return receipt


def read(artifact: Path | str) -> Receipt:
    """The receipt of an artifact.

    Raises `UserError` if it is missing, malformed, names no file or one elsewhere, or its digest is not its recipe's.
    """
    path = receipt_path(artifact)
    try:
        content = load_json(path.read_text(encoding="utf-8"))
        receipt = _RECEIPT.validate_python(content)
        _check_files(receipt.files)
        digest = recipe_digest(receipt.recipe)
    except FileNotFoundError:
        raise UserError("receipt missing", where=str(path), hint=_remake(artifact)) from None
    except OSError as error:
        raise unreadable(error, path) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"not a receipt: {key}: {first['msg']}", where=str(path), hint=_remake(artifact)) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"not a receipt: {error}", where=str(path), hint=_remake(artifact)) from None
    if digest != receipt.digest:
        raise UserError(
            "the recipe in this receipt was edited: it no longer has the digest beside it",
            where=str(path),
            hint=_remake(artifact),
        )
    return receipt


def _check_files(files: dict[str, str]) -> None:
    """An artifact has files, all in one folder: a name that leads elsewhere would let a receipt speak of any file."""
    if not files:
        raise ValueError("it names no file")
    for name, sha256 in files.items():
        if name in ("", ".", "..") or re.search(r"[/\0]", name):
            raise ValueError(f"{name!r} is not the name of a file")
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError(f"{sha256!r} is no sha256")


def check(artifact: Path | str, digest: str | None = None) -> Receipt:
    """The receipt of an artifact whose files are all there with the sha256 it states, and made by recipe `digest` if
    given.
    """
    receipt = read(artifact)
    if digest is not None and receipt.digest != digest:
        raise UserError(
            f"made by recipe {receipt.digest[:12]}",
            where=str(artifact),
            expected=f"recipe {digest[:12]}",
            hint=_remake(artifact),
        )
    for name, file in paths_of(artifact, receipt).items():
        sha256 = receipt.files[name]
        if not file.is_file():
            raise UserError("file missing", where=str(file), hint=_remake(artifact))
        found = sha256_of_file(file)
        if found != sha256:
            raise UserError(
                f"sha256 {found}: altered or damaged since it was made",
                where=str(file),
                expected=f"sha256 {sha256}",
                hint=_remake(artifact),
            )
    return receipt


def _remake(artifact: Path | str) -> str:
    return f"delete {artifact} and its receipt and run snakemake again, or restore both from where they were published"
