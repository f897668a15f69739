"""From a figure, a table or any other file of a run back to data and models, by receipts alone."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import FIGURES, POINTER
from safety_regions.artifacts.receipts import RECEIPT, RUN, Receipt, paths_of
from safety_regions.errors import UserError
from safety_regions.files import sha256_of_file
from safety_regions.provenance.index import Index, Known, made_from
from safety_regions.provenance.report_parts import parts_of, rebuilt_figures


@dataclass(frozen=True)
class Start:
    """What is asked about: an artifact, or one file of it."""

    known: Known
    file: str | None = None
    """Name of the file in the artifact's folder; None: all of it."""


@dataclass
class Provenance:
    """Everything that a file was made from."""

    start: Start
    known: dict[str, Known] = field(default_factory=dict)
    """By digest, in the order in which they are met on the way back."""
    edges: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """By digest: role and digest of what each was made from."""
    unknown: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """By a digest of which there is no receipt: role in, and digest of, what was made from it."""

    @property
    def files(self) -> dict[str, str]:
        """sha256 of the files asked about, by name."""
        files, name = self.start.known.receipt.files, self.start.file
        return files if name is None else {name: files[name]}

    def sources(self, digest: str) -> list[str]:
        """The digests that an artifact was made from, each once."""
        return list(dict.fromkeys(source for _, source in self.edges[digest]))

    def content(self) -> dict[str, Any]:
        """All of it as JSON values."""
        artifacts = {digest: _content(known, self.edges[digest]) for digest, known in self.known.items()}
        unknown = {digest: [{"role": role, "in": by} for role, by in uses] for digest, uses in self.unknown.items()}
        asked = {"path": self.start.known.path, "digest": self.start.known.digest, "files": self.files}
        return {"asked": asked, "artifacts": artifacts, "unknown": unknown}


def _content(known: Known, edges: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "path": known.path,
        "kind": known.kind,
        "from": dict(edges),
        "here": known.here,
        "published": known.published,
        "has_receipt": not known.rebuilt,
        "files": known.receipt.files,
        "recipe": known.receipt.recipe,
        "facts": known.receipt.facts,
        "versions": known.versions,
        "changed_code": known.changed,
        "run": known.run,
    }


def trace(start: Start, index: Index) -> Provenance:
    """Walk from a start to all that it was made from."""
    found = Provenance(start)
    pending = [start.known]
    while pending:
        known = pending.pop(0)
        if known.digest in found.known:
            continue
        found.known[known.digest] = known
        found.edges[known.digest] = _edges(known, start, index)
        for role, digest in found.edges[known.digest]:
            source = index.by_digest.get(digest) or _rebuilt(known, role, digest)
            if source:
                pending.append(source)
            else:
                found.unknown.setdefault(digest, []).append((role, known.digest))
    return found


def _edges(known: Known, start: Start, index: Index) -> list[tuple[str, str]]:
    asked = start.file is not None and known.digest == start.known.digest
    if asked and known.kind == "report" and "parts" in known.receipt.recipe:
        return [(f"parts/{role}", digest) for role, digest in parts_of(str(start.file), known.receipt, index).items()]
    return made_from(known.receipt.recipe)


def _rebuilt(known: Known, role: str, digest: str) -> Known | None:
    """The receipts of figures are not shared; a report's says what they were drawn from."""
    if known.kind != "report":
        return None
    return rebuilt_figures(known.receipt.recipe, role.removeprefix("parts/"), digest)


def locate(file: Path, index: Index) -> Start:
    """The artifact that a path belongs to: one below `results/`, one below `figures/<run>/`, or a copy with the same
    bytes.

    The path may be of a receipt, of run facts, or of a DVC pointer, and its bytes need not be here. Raises `UserError`
    if it belongs to no known artifact, or if the bytes that are here are not those of the receipt.
    """
    name = _artifact_name(file)
    for folder in [name, *Path(name).parents]:
        known = index.by_path.get(str(folder)) or _published(folder)
        if known:
            return _checked(known, str(Path(name).relative_to(folder)))
    return _copy_of(file, index)


def _artifact_name(file: Path) -> Path:
    """The path from the working folder, without the endings of what lies beside an artifact."""
    path = Path(file)
    if path.is_absolute() or ".." in path.parts:
        here = Path.cwd()
        path = path.resolve().relative_to(here) if path.resolve().is_relative_to(here) else path
    for ending in (RECEIPT, RUN, POINTER):
        path = path.with_name(path.name.removesuffix(ending)) if path.name != ending else path
    return path


def _published(folder: Path) -> Known | None:
    """The report of which `figures/<run>/` is a copy, if this is such a folder."""
    if folder.parent != FIGURES or not receipts.receipt_path(folder).is_file():
        return None
    return Known.at(folder)


def _checked(known: Known, name: str) -> Start:
    """A start whose bytes, as far as they are here, are those of the receipt."""
    files = paths_of(known.path, known.receipt)
    if name != ".":
        if name not in files:
            raise UserError(
                f"no file of that name in the receipt of {known.path}",
                where=f"{known.path}/{name}",
                expected="one of " + ", ".join(sorted(files)),
                hint="files that were put beside an artifact by hand have no provenance",
            )
        files = {name: files[name]}
    for file, path in files.items():
        if path.is_file():
            _refuse_altered(path, known.receipt, file)
    return Start(known, None if name == "." else name)


def _refuse_altered(path: Path, receipt: Receipt, name: str) -> None:
    found = sha256_of_file(path)
    if found != receipt.files[name]:
        raise UserError(
            f"sha256 {found}: altered since it was made, so its receipt says nothing about it",
            where=str(path),
            expected=f"sha256 {receipt.files[name]}",
            hint="restore it: git checkout, safety-regions pull,"
            " or delete artifact and receipt and run snakemake again",
        )


def _copy_of(file: Path, index: Index) -> Start:
    """The artifact of a file that lies elsewhere, by its sha256."""
    if file.is_file():
        sha256 = sha256_of_file(file)
        for known in index.by_path.values():
            for name, recorded in known.receipt.files.items():
                if recorded == sha256:
                    return Start(known, None if len(known.receipt.files) == 1 else name)
    elif not file.exists():
        raise UserError(
            "no such file, and no receipt of one",
            where=str(file),
            hint="call this where the Snakefile is, with a path below results/ or figures/",
        )
    raise UserError(
        "no receipt knows this file, nor its bytes",
        where=str(file),
        expected="a file below results/ or figures/<run>/, or a copy of one",
        hint=_unreadable(index),
    )


def _unreadable(index: Index) -> str:
    return f"receipts that could not be read: {'; '.join(index.unreadable)}" if index.unreadable else ""
