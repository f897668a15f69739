"""A classifier of the Hub or of this machine, pinned by the digest of its files: its prepared folder points there."""

import json
import shutil
from pathlib import Path

from safety_regions.config.models import ClassifierModel
from safety_regions.errors import UserError
from safety_regions.files import readable_json, write_text
from safety_regions.models.checks import refuse_unsound
from safety_regions.models.judge import outcomes_of_labels
from safety_regions.models.model_files import CONFIG, FILES, POINTER, files_of_model, folder_digest
from safety_regions.models.sources import Inputs, Wanted
from safety_regions.models.sources.hub import download

PACKAGES: tuple[str, ...] = ()


def make(source: ClassifierModel, recipe: Wanted, inputs: Inputs, folder: Path) -> dict:
    """Check a classifier against its digest and write a pointer to it; facts: its files, and the outcomes of its
    classes.

    Raises `UserError` for one that is not there, has another digest, or has other labels than the entry.
    """
    path, where, pointer = _found(source)
    found = folder_digest(path, scored=False)
    if found != source.sha256:
        raise UserError(
            f"the files of this classifier have digest {found}",
            where=where,
            expected=source.sha256,
            hint="if these are the files that are meant, put the digest that was found into the model registry",
        )
    refuse_unsound(path, where, scored=False)
    config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    outcomes = outcomes_of_labels(config, source.labels, where)
    shutil.copyfile(path / CONFIG, folder / CONFIG)
    write_text(folder / POINTER, readable_json(pointer))
    return {"files": {p.name: p.stat().st_size for p in files_of_model(path)}, "outcomes": [str(of) for of in outcomes]}


def _found(source: ClassifierModel) -> tuple[Path, str, dict[str, str]]:
    """The folder of its files, where that is in words, and the pointer to it."""
    if source.path is not None:
        path = Path(source.path).expanduser()
        return path, str(path), {"path": str(path.resolve())}
    assert source.id is not None and source.revision is not None
    folder = download(source.id, source.revision, FILES)
    return folder, f"{source.id} @ {source.revision}", {"id": source.id, "revision": source.revision}
