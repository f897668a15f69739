"""DVC's pointers: `X.dvc` beside the artifact `X` says which bytes were published, and how many."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from safety_regions.artifacts.artifact import Artifact
from safety_regions.errors import UserError, unreadable
from safety_regions.text import readable_size


@dataclass(frozen=True)
class Pointer:
    """What a pointer says of the bytes."""

    md5: str
    """Of the file; for a folder, of DVC's list of its files, with `.dir` behind it."""
    size: int
    """In bytes."""


def read_pointer(path: Path | str) -> Pointer:
    """The content of a pointer. Raises `UserError` if it is not one."""
    try:
        (out,) = yaml.safe_load(Path(path).read_text(encoding="utf-8"))["outs"]
        return Pointer(str(out["md5"]), int(out["size"]))
    except OSError as error:
        raise unreadable(error, path, f"git checkout -- {path}") from None
    except (yaml.YAMLError, ValueError, KeyError, TypeError) as error:
        hint = (
            "merge by hand: keep one of the two versions"
            if isinstance(error, yaml.YAMLError)
            else f"git checkout -- {path}"
        )
        raise UserError(f"not a DVC pointer: {type(error).__name__}", where=str(path), hint=hint) from None


def not_pulled(artifacts: list[Artifact], configfiles: Iterable[Path | str]) -> UserError:
    """The error of a run that lacks what was published: what, how much, and the command that brings it."""
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(a.kind for a in artifacts).items()))
    size = sum(read_pointer(a.pointer).size for a in artifacts)
    files = " ".join(os.path.relpath(path) for path in configfiles)
    return UserError(
        f"{len(artifacts)} artifacts of this run are published but not here: {kinds}; {readable_size(size)}",
        where=f"{artifacts[0].path}{' and others' if len(artifacts) > 1 else ''}",
        hint=f"safety-regions pull{f' --configfile {files}' if files else ''} brings them;"
        " or compute them again, for as long as that takes: snakemake --config 'machine={recompute_published: true}'",
    )
