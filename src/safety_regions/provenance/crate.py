"""Provenance as an RO-Crate: who made which file from which others, in the vocabulary of schema.org.

Written by the profile Process Run Crate: every artifact is the result of an action, every action has its software. One
metadata file is made and no bytes are copied; names in it are relative to the folder of the Snakefile.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.model.softwareapplication import SoftwareApplication
from rocrate.rocrate import ROCrate

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import DIGITS
from safety_regions.files import canonical_json, readable_json, sha256_of_text, write_text
from safety_regions.provenance.index import Known
from safety_regions.provenance.origins import origin_of, rights_of
from safety_regions.provenance.trace import Provenance
from safety_regions.provenance.tree import options_of, text_of

METADATA = "ro-crate-metadata.json"
VERSION = "1.1"
"""Of RO-Crate: the one that the profile builds on."""
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
APPLICATION = "#safety-regions"


def write_crate(provenance: Provenance, folder: Path) -> Path:
    """Write ro-crate-metadata.json into a folder, and return its path.

    Equal receipts and run facts give equal bytes.
    """
    content = crate_of(provenance).metadata.generate()
    content["@graph"] = sorted(
        content["@graph"], key=lambda entity: (entity["@id"] not in (METADATA, "./"), entity["@id"])
    )
    write_text(folder / METADATA, readable_json(content))
    return folder / METADATA


def crate_of(provenance: Provenance) -> ROCrate:
    """The crate in memory."""
    crate = ROCrate(version=VERSION)
    _describe(crate, provenance)
    entities = {
        digest: _artifact(crate, known, provenance)
        for digest, known in sorted(provenance.known.items(), key=lambda item: item[1].path)
    }
    for digest in sorted(provenance.unknown):
        entities[digest] = _context(
            crate,
            f"#unknown-{digest[:DIGITS]}",
            "CreativeWork",
            name=f"an artifact of which no receipt is known, made by recipe {digest}",
        )
    for digest, known in provenance.known.items():
        objects = [entities[source] for source in provenance.sources(digest)] + _origin(crate, known)
        crate.root_dataset.append_to("mentions", _making(crate, known, objects, entities[digest]))
    if provenance.start.file is not None:
        entities[provenance.start.known.digest] = crate.get(f"{provenance.start.known.path}/{provenance.start.file}")
    crate.mainEntity = entities[provenance.start.known.digest]
    return crate


def _describe(crate: ROCrate, provenance: Provenance) -> None:
    """What is said of the crate as a whole; it is as old as the youngest artifact in it."""
    asked = provenance.start.file or provenance.start.known.path
    crate.name = f"Provenance of {asked}"
    crate.description = (
        f"What {asked} was made from, down to data and models, as the receipts of safety-regions have it."
    )
    ends = [end for known in provenance.known.values() if (end := _time(known, finished=True))]
    crate.datePublished = max(ends, default=datetime.now(UTC).isoformat(timespec="seconds"))
    crate.license = _context(
        crate,
        "#licences",
        "CreativeWork",
        name="As the data and models allow from which it was made; each has its licence beside it",
    )
    crate.root_dataset["conformsTo"] = _context(
        crate, PROFILE, "CreativeWork", name="Process Run Crate", version=PROFILE.rpartition("/")[2]
    )


def _artifact(crate: ROCrate, known: Known, provenance: Provenance) -> Entity:
    """A file, or a folder with its files; of the folder asked about only the files asked about."""
    rights = rights_of(known.receipt)
    about = {"license": rights["licence"]} if "licence" in rights else {}
    about |= {"citation": rights["citation"]} if "citation" in rights else {}
    files = provenance.files if known.digest == provenance.start.known.digest else known.receipt.files
    paths = receipts.paths_of(known.path, known.receipt)
    parts = [
        crate.add_file(dest_path=paths[name], properties={"name": name, "sha256": sha256, **about})
        for name, sha256 in sorted(files.items())
    ]
    alone = [paths[name] for name in known.receipt.files] == [Path(known.path)]
    whole = (
        parts[0]
        if alone
        else crate.add_dataset(dest_path=known.path, properties={"name": known.name, "hasPart": parts, **about})
    )
    whole["identifier"] = f"recipe {known.digest}"
    receipt = receipts.receipt_path(known.path)
    if not known.rebuilt:
        whole["subjectOf"] = crate.add_file(
            dest_path=receipt,
            properties={
                "name": receipt.name,
                "encodingFormat": "application/json",
                "description": "Receipt: the recipe, and the sha256 of each file",
            },
        )
    return whole


def _origin(crate: ROCrate, known: Known) -> list[Entity]:
    """Where a dataset or model was taken from, if that is somewhere else."""
    origin = origin_of(known.receipt.recipe)
    if origin is None or origin.made_here:
        return []
    properties = {"name": origin.text} | ({"sha256": origin.sha256} if origin.sha256 else {})
    if origin.url is None:
        return [_context(crate, f"#origin-{known.digest[:DIGITS]}", "CreativeWork", **properties)]
    add = crate.add_file if origin.sha256 else crate.add_dataset
    return [add(origin.url, properties=properties)]


def _making(crate: ROCrate, known: Known, objects: list[Entity], result: Entity) -> Entity:
    properties: dict[str, Any] = {
        "name": f"Make {known.kind} {known.name}",
        "description": text_of(options_of(known.receipt.recipe)) or "no options",
        "instrument": _software(crate, known),
        "object": objects,
        "result": result,
    }
    for key, finished in (("startTime", False), ("endTime", True)):
        if time := _time(known, finished):
            properties[key] = time
    return _context(crate, f"#make-{known.digest[:DIGITS]}", "CreateAction", **properties)


def _software(crate: ROCrate, known: Known) -> Entity:
    """The step of this pipeline that made it, with its version and the packages that decide the bytes."""
    recipe, run = known.receipt.recipe, known.run
    step = f"{known.kind} {recipe['method']}" if "method" in recipe else known.kind
    about: dict[str, Any] = {
        "name": f"safety-regions: {step}",
        "softwareVersion": str(recipe.get("version", "unknown")),
    }
    if run.get("commit"):
        about["version"] = run["commit"] + (" with changes" if run.get("dirty") else "")
    needs = [f"{package} {version}" for package, version in sorted(known.versions.items())]
    identifier = f"{APPLICATION}-{sha256_of_text(canonical_json([about, needs]))[:DIGITS]}"
    about["softwareRequirements"] = [_application(crate, f"#{need.replace(' ', '-')}", need) for need in needs]
    return crate.get(identifier) or crate.add(SoftwareApplication(crate, identifier, about))


def _application(crate: ROCrate, identifier: str, need: str) -> Entity:
    name, _, version = need.partition(" ")
    return crate.get(identifier) or crate.add(
        SoftwareApplication(crate, identifier, {"name": name, "softwareVersion": version})
    )


def _context(crate: ROCrate, identifier: str, type_: str, **properties: Any) -> Entity:
    return crate.get(identifier) or crate.add(ContextEntity(crate, identifier, {"@type": type_, **properties}))


def _time(known: Known, finished: bool) -> str | None:
    """When the process that made it began, or when the artifact was written; ISO 8601, in UTC."""
    if "started" not in known.run:
        return None
    seconds = known.run["started"] + (int(known.run.get("wall_seconds", 0)) if finished else 0)
    return datetime.fromtimestamp(seconds, UTC).isoformat()
