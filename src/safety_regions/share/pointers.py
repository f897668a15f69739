"""DVC's pointers: `X.dvc` beside the artifact `X` says which bytes were published, and how many."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from safety_regions.errors import UserError, unreadable
from safety_regions.planning.plan import Plan
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


def not_pulled(plan: Plan, targets: Iterable[str] = ()) -> UserError:
    """The error of a run that lacks what was published: what, how much, and the command that brings it.

    `targets`: what the command line asks for besides the report.
    """
    artifacts, targets = plan.to_pull, list(targets)
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(a.kind for a in artifacts).items()))
    size = sum(read_pointer(a.pointer).size for a in artifacts)
    # A pull brings what the report needs; what leads to other files is known to snakemake alone.
    pull = plan.named.ours("pull", *(["--all"] if targets else []))
    again = plan.named.snakemake(*targets, override="machine={recompute_published: true}")
    return UserError(
        f"{len(artifacts)} artifacts of this run are published but not here: {kinds}; {readable_size(size)}",
        where=f"{artifacts[0].path}{' and others' if len(artifacts) > 1 else ''}",
        hint=f"{pull} brings them; or compute them again, for as long as that takes: {again}",
    )
