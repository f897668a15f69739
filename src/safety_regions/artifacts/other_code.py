"""Finished artifacts that were made by other code than today's: they are used as they are, and never without a word."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.code_history import FILE, history
from safety_regions.artifacts.kinds import KINDS
from safety_regions.artifacts.receipts import RECEIPT
from safety_regions.errors import UserError
from safety_regions.files import write_text


@dataclass(frozen=True)
class OtherCode:
    """How many artifacts of each kind were made by other code, and in which modules it differs."""

    kinds: Counter[str]
    modules: tuple[str, ...]

    def __str__(self) -> str:
        """One line, with what to do."""
        many = ", ".join(f"{kind} {n}" for kind, n in self.kinds.items())
        raised = {"artifacts/kinds.py" if KINDS[kind].version else "config/method_catalogue.py" for kind in self.kinds}
        return (
            f"{self.kinds.total()} finished artifacts of this run ({many}) were made by other code than today's: "
            f"{', '.join(self.modules)} changed. They are used as they are. If bytes change, raise the versions of "
            f"these kinds (in {' and '.join(sorted(raised))}) to make them again; if none do: safety-regions accept"
        )


def made_by_other_code(artifacts: Iterable[Artifact]) -> OtherCode | None:
    """Those of the artifacts in place whose receipts name other code; None if there are none."""
    kinds: Counter[str] = Counter()
    modules: set[str] = set()
    for artifact in artifacts:
        if changed := _changed(tuple(sorted(_recorded(Path(artifact.receipt)).items()))):
            kinds[artifact.kind] += 1
            modules.update(changed)
    return OtherCode(kinds, tuple(sorted(modules))) if kinds else None


def warn_if_changed(artifact: str, code: Mapping[str, str]) -> None:
    """Say on stderr which modules have changed since an artifact was made, by the digests in its receipt."""
    if changed := history().changed(code):
        print(
            f"warning: {', '.join(changed)} changed since {artifact} was made; it is used as it is "
            "(a higher version makes it again, `safety-regions accept` notes that its bytes stay)",
            file=sys.stderr,
        )


def accept(results: Path, moved: Mapping[str, Iterable[str]] | None = None) -> list[str]:
    """Note in `code_history.json` that today's code makes the bytes of all code before it, that of the receipts below a
    folder among it. Returns the modules of which something new was noted.

    Raises `UserError` for a module that is gone if it is neither `moved` nor found again under another name.
    """
    before = history()
    if lost := before.lost(moved or {}):
        raise UserError(
            f"modules are gone, and none has their code unchanged: {', '.join(lost)}",
            where=str(FILE),
            hint=f"say where the code is now: safety-regions accept --moved {' '.join(f'{name}=NEW' for name in lost)}",
        )
    receipts = {tuple(sorted(_recorded(path).items())) for path in results.rglob(f"*{RECEIPT}")}
    after = before.accepted(map(dict, sorted(receipts)), moved)
    write_text(FILE, after.to_json())
    history.cache_clear()
    return sorted(n for n in after.past if n not in before.past or after.past[n].digests != before.past[n].digests)


@cache
def _changed(code: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return tuple(history().changed(dict(code)))


def _recorded(receipt: Path) -> dict[str, str]:
    """What a receipt says of code; nothing if it is missing or is none, of which others speak."""
    try:
        code = json.loads(receipt.read_text(encoding="utf-8"))["code"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    is_code = isinstance(code, dict) and all(isinstance(digest, str) for digest in code.values())
    return code if is_code else {}
