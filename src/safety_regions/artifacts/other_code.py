"""Finished artifacts that were made by other code than today's: they are used as they are, and never without a word."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.code_history import FILE, changed_code, history
from safety_regions.artifacts.kinds import KINDS
from safety_regions.artifacts.receipts import RECEIPT, Receipt
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
        if changed := changed_code(*_content(Path(artifact.receipt))):
            kinds[artifact.kind] += 1
            modules.update(changed)
    return OtherCode(kinds, tuple(sorted(modules))) if kinds else None


def warn_if_changed(artifact: str, receipt: Receipt) -> None:
    """Say on stderr which modules have changed since an artifact was made, by what its receipt says."""
    if changed := changed_code(receipt.recipe, receipt.code):
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
    named = {tuple(sorted(_content(path)[1].items())) for path in results.rglob(f"*{RECEIPT}")}
    after = before.accepted(map(dict, sorted(named)), moved)
    write_text(FILE, after.to_json())
    history.cache_clear()
    return sorted(n for n in after.past if n not in before.past or after.past[n].digests != before.past[n].digests)


def _content(receipt: Path) -> tuple[dict, dict[str, str]]:
    """Recipe and code that a receipt names; none of both if it is missing or is none, of which others speak."""
    try:
        content = json.loads(receipt.read_text(encoding="utf-8"))
        recipe, code = content["recipe"], content["code"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}, {}
    is_code = isinstance(code, dict) and all(isinstance(digest, str) for digest in code.values())
    return (recipe, code) if is_code and isinstance(recipe, dict) else ({}, {})
