"""A model in a folder of this machine, pinned by the digest of its files: its prepared folder points there."""

import shutil
from pathlib import Path

from safety_regions.config.models import LocalModel
from safety_regions.errors import UserError
from safety_regions.files import readable_json, write_text
from safety_regions.models.checks import refuse_configuration, refuse_unsound
from safety_regions.models.model_files import CONFIG, POINTER, files_of_model, folder_digest
from safety_regions.models.sources import Inputs, Wanted

PACKAGES: tuple[str, ...] = ()


def make(source: LocalModel, recipe: Wanted, inputs: Inputs, folder: Path) -> dict:
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
    refuse_configuration(path, str(path), inputs.methods)
    refuse_unsound(path, str(path))
    shutil.copyfile(path / CONFIG, folder / CONFIG)
    write_text(folder / POINTER, readable_json({"path": str(path.resolve())}))
    return {"files": {p.name: p.stat().st_size for p in files_of_model(path)}}
