"""What today's code is, and which code before it made the same bytes: `code_history.json`.

Whoever changes code either raises the version of each kind whose bytes change, or notes that none do: `safety-regions
accept`. Until one of the two is done a test is red, and `snakemake` and `safety-regions verify` speak of the artifacts
that were made by other code.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from safety_regions.artifacts.code_digests import (
    DIGITS,
    PACKAGE,
    digest_of_bytes,
    digest_of_source,
    imports_of_source,
    path_of,
    with_files_beside,
)
from safety_regions.artifacts.kinds import KINDS

FILE = Path(__file__).with_suffix(".json")


@dataclass(frozen=True)
class Past:
    """The states of one module, or of a file beside modules."""

    digests: tuple[str, ...]
    """Of all states that make the same bytes, in time; the last is the newest that is known."""
    content: str = ""
    """Digest of the file's bytes in that state: a file that has them need not be parsed."""
    imports: tuple[str, ...] = ()
    """What it imports in that state."""


@dataclass(frozen=True)
class State:
    """A module, or a file beside modules, as it is now."""

    digest: str
    imports: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CodeHistory:
    """Known states of all code that decides bytes. Asks for the files of today as they are."""

    past: Mapping[str, Past]
    renamed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Modules that are gone -> where their code is now; nowhere if it was dropped."""

    def today(self, name: str) -> State:
        """A module, or file, of today. Raises `FileNotFoundError` if there is none of this name."""
        content = path_of(name).read_bytes()
        if "/" in name:
            return State(digest_of_bytes(content))
        known = self.past.get(name)
        if known and known.content == digest_of_bytes(content):
            return State(known.digests[-1], known.imports)
        source = content.decode()
        return State(digest_of_source(source), imports_of_source(source))

    def changed(self, code: Mapping[str, str]) -> list[str]:
        """Modules of today, or gone, whose code is none that makes the bytes of the digests in a receipt; sorted."""
        changed: set[str] = set()
        for recorded, digest in code.items():
            changed.update(heir for heir in self._heirs(recorded) if not self._same(heir, digest[:DIGITS]))
        return sorted(changed)

    def _same(self, name: str, digest: str) -> bool:
        try:
            today = _today(self, name).digest
        except FileNotFoundError:
            return False
        return digest == today or (name in self.past and {digest, today} <= set(self.past[name].digests))

    def unknown(self) -> list[str]:
        """Modules and files whose state of today is not noted, and modules that are gone without a word; sorted."""
        names = deciding_names()
        new = [n for n in names if n not in self.past or self.past[n].digests[-1] != self.today(n).digest]
        return sorted([*new, *(set(self.past) - set(names))])

    def lost(self, moved: Mapping[str, Iterable[str]]) -> list[str]:
        """Modules that are gone, are not `moved`, and whose code no new module has; sorted."""
        today = {name: self.today(name) for name in deciding_names()}
        return sorted(n for n in set(self.past) - set(today) - set(moved) if not self._equals(n, today))

    def accepted(
        self, receipts: Iterable[Mapping[str, str]] = (), moved: Mapping[str, Iterable[str]] | None = None
    ) -> "CodeHistory":
        """This history with today's code as one that makes the bytes of all before it, and of that in these receipts.

        `moved`: modules that are gone -> where their code is now. One whose digest a new module has needs not be named.
        """
        names = deciding_names()
        today = {name: self.today(name) for name in names}
        gone = {n: tuple((moved or {}).get(n, self._equals(n, today))) for n in set(self.past) - set(names)}
        renamed = {
            old: tuple(h for heir in heirs for h in gone.get(heir, (heir,))) for old, heirs in self.renamed.items()
        }
        after = CodeHistory({}, {**renamed, **gone})
        digests: dict[str, list[str]] = {
            name: list(self.past[name].digests) if name in self.past else [] for name in names
        }
        for old, heirs in gone.items():
            for heir in heirs:
                digests[heir] += self.past[old].digests
        for code in receipts:
            for recorded, digest in code.items():
                for heir in after._heirs(recorded):
                    if heir in digests:
                        digests[heir].append(digest[:DIGITS])
        past = {name: _past(name, digests[name], today[name]) for name in names}
        return CodeHistory(past, after.renamed)

    def _heirs(self, recorded: str) -> tuple[str, ...]:
        """The modules that hold the code of one by the name in a receipt; the oldest receipts have the package before
        it.
        """
        name = recorded.removeprefix(f"{PACKAGE}.")
        return self.renamed.get(recorded, self.renamed.get(name, (name,)))

    def _equals(self, gone: str, today: Mapping[str, State]) -> list[str]:
        """New modules with the code that one had that is gone."""
        last = self.past[gone].digests[-1]
        return [name for name, state in today.items() if name not in self.past and state.digest == last]

    def to_json(self) -> str:
        """As the file has it: one line a module."""
        lines = [f"  {json.dumps(name)}: {json.dumps(_as_json(past))}" for name, past in sorted(self.past.items())]
        renamed = [f"  {json.dumps(old)}: {json.dumps(list(heirs))}" for old, heirs in sorted(self.renamed.items())]
        sections = {"past": lines, "renamed": renamed}
        return (
            "{\n" + ",\n".join(f' "{name}": {{\n' + ",\n".join(of) + "\n }" for name, of in sections.items()) + "\n}\n"
        )


def _past(name: str, digests: list[str], today: State) -> Past:
    before = tuple(dict.fromkeys(digest for digest in digests if digest != today.digest))
    return Past((*before, today.digest), digest_of_bytes(path_of(name).read_bytes()), today.imports)


def _as_json(past: Past) -> dict:
    return {"digests": past.digests, "content": past.content, "imports": past.imports}


@cache
def _today(history: CodeHistory, name: str) -> State:
    return history.today(name)


@cache
def history() -> CodeHistory:
    """The history that comes with this code."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    past = {
        name: Past(tuple(of["digests"]), of["content"], tuple(of["imports"])) for name, of in content["past"].items()
    }
    return CodeHistory(past, {old: tuple(heirs) for old, heirs in content["renamed"].items()})


def code_of(recipe: Mapping) -> dict[str, str]:
    """The digest of each module, or file, that decides the bytes of what this recipe makes, by its name.

    Names are relative to this package: `regions.select`, `report/page/page.html`. A recipe of no known kind has none,
    nor one that lacks what its makers go by, or whose maker is gone.
    """
    return {name: _today(history(), name).digest for name in reached_from(_makers(recipe))}


def changed_code(recipe: Mapping, code: Mapping[str, str]) -> tuple[str, ...]:
    """Modules whose code of today is none that makes the bytes of the code in an artifact's receipt; sorted.

    A receipt from before receipts named code is taken to come from the first code that is noted.
    """
    return _changed(_makers(recipe), tuple(sorted(code.items())))


@cache
def _changed(makers: tuple[str, ...], code: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    # Thousands of receipts name the same few codes.
    past = history().past
    first = {name: past[name].digests[0] for name in reached_from(makers) if name in past}
    return tuple(history().changed(dict(code) or first))


def _makers(recipe: Mapping) -> tuple[str, ...]:
    try:
        makers = tuple(maker.format(**recipe) for maker in KINDS[recipe["kind"]].makers)
    except KeyError:
        return ()
    # A receipt may outlive the method that it speaks of.
    return makers if all(path_of(maker).is_file() for maker in makers) else ()


@cache
def deciding_names() -> tuple[str, ...]:
    """Every module, and every file beside one, that may decide a byte of some artifact; sorted."""
    makers = {maker for kind in KINDS.values() for template in kind.makers for maker in _matching(template)}
    return reached_from(tuple(sorted(makers)))


def _matching(template: str) -> list[str]:
    """The modules that a maker's name stands for, whatever the recipe: one, or all of a package."""
    package, named_by_recipe, _ = template.partition(".{")
    if not named_by_recipe:
        return [template]
    return [f"{package}.{path.stem}" for path in path_of(package).parent.glob("*.py") if path.stem != "__init__"]


@cache
def reached_from(makers: tuple[str, ...]) -> tuple[str, ...]:
    """The modules that these reach by imports, themselves among them, and the files beside them; sorted."""
    reached: set[str] = set()
    pending = list(makers)
    while pending:
        module = pending.pop()
        if module not in reached:
            reached.add(module)
            pending += _today(history(), module).imports
    return with_files_beside(reached)
