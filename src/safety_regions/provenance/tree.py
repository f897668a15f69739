"""Provenance as indented text: every artifact once, those that differ in nothing but their set on one line."""

import os.path
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

from safety_regions.artifacts.kinds import KINDS
from safety_regions.files import canonical_json
from safety_regions.provenance.index import Known, is_digest
from safety_regions.provenance.origins import origin_of, rights_of
from safety_regions.provenance.trace import Provenance

WIDTH = 110
SHORT = 12
"""Digits of a sha256 that are shown."""
UNSHOWN = {"kind", "version", "method", "dataset", "model", "spec", "source", "context", "config", "sources"}
"""Keys of a recipe that are no options, or repeat what stands elsewhere in the tree."""


def tree_of(provenance: Provenance) -> str:
    """The whole text: what was asked, the tree, and what it was all made with."""
    start = provenance.start
    name = start.known.path if start.file is None else f"{start.known.path}/{start.file}"
    files = list(provenance.files.values())
    lines = [name, f"  sha256 {files[0]}" if len(files) == 1 else f"  {len(files)} files", ""]
    tree = _Tree(provenance)
    tree.show({start.known.digest: []}, 0)
    return "\n".join([*lines, *tree.lines, "", *made_with(list(provenance.known.values()))]) + "\n"


class _Tree:
    """Lines as they come; what was shown once is only named afterwards."""

    def __init__(self, provenance: Provenance):
        self.provenance = provenance
        self.lines: list[str] = []
        self.shown: set[str] = set()

    def show(self, roles: dict[str, list[str]], depth: int) -> None:
        """Lines of these digests, and below them of what they were made from. `roles`: their roles, by digest."""
        groups: dict[str, list[str]] = {}
        for digest in roles:
            groups.setdefault(self._alike(digest), []).append(digest)
        for digests in groups.values():
            self._group(digests, sorted({role.split("/")[0] for d in digests for role in roles[d]}), depth)

    def _alike(self, digest: str) -> str:
        known = self.provenance.known.get(digest)
        if known is None:
            return "unknown"
        if known.kind in ("dataset", "model"):
            return digest
        recipe = known.receipt.recipe
        same = [recipe.get(key) for key in ("kind", "version", "method", "model")]
        return canonical_json([digest in self.shown, same, options_of(recipe)])

    def _group(self, digests: list[str], roles: list[str], depth: int) -> None:
        members = [self.provenance.known[d] for d in digests if d in self.provenance.known]
        if not members:
            for digest in digests:
                role = self.provenance.unknown[digest][0][0]
                self._line(f"{role}: no receipt is known of {digest}", depth)
            return
        if members[0].digest in self.shown:
            self._line(f"{_title(members)}: {', '.join(k.name for k in members)}: see above", depth)
            return
        self.shown.update(digests)
        as_what = [role for role in roles if role not in (members[0].kind, f"{members[0].kind}s", "parts", "rows")]
        self._describe(members, f"{', '.join(as_what)}: " if as_what else "", depth)
        below: dict[str, list[str]] = {}
        for known in members:
            for role, digest in self.provenance.edges[known.digest]:
                below.setdefault(digest, []).append(role)
        self.show(below, depth + 1)

    def _describe(self, members: list[Known], role: str, depth: int) -> None:
        first = members[0]
        if len(members) == 1:
            self._line(f"{role}{_title(members)} {first.name}, {first.path}, {_sha256(first)}, {where(members)}", depth)
        else:
            names = ", ".join(f"{known.name} {_sha256(known).removeprefix('sha256 ')}" for known in members)
            folder = os.path.commonpath([str(Path(known.path).parent) for known in members])
            self._line(f"{role}{_title(members)} in {folder}, {where(members)}: {names}", depth)
        origin = origin_of(first.receipt.recipe)
        options = text_of(options_of(first.receipt.recipe))
        if origin:
            address = f", {origin.url}" if origin.url else ""
            rights = "".join(f"; {key}: {value}" for key, value in rights_of(first.receipt).items())
            self._line(f"from {origin.text}{address}{rights}", depth, hanging=4)
        elif options:
            self._line(f"({options})", depth, hanging=4)
        if first.rebuilt:
            self._line(
                "its receipt is not shared; the recipe follows from the report's, and has its digest", depth, hanging=4
            )

    def _line(self, text: str, depth: int, hanging: int = 0) -> None:
        indent = "  " * depth + " " * hanging
        more = indent if hanging else indent + "    "
        self.lines += textwrap.wrap(
            text,
            max(WIDTH, len(indent) + 60),
            initial_indent=indent,
            subsequent_indent=more,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _title(members: list[Known]) -> str:
    recipe = members[0].receipt.recipe
    method = f" {recipe['method']}" if members[0].kind not in ("evaluate", "constrain") and "method" in recipe else ""
    noun = KINDS[members[0].kind].noun or members[0].kind if members[0].kind in KINDS else members[0].kind
    if len(members) > 1:
        noun = f"{len(members)} {noun}" if noun.endswith("s") else f"{len(members)} {noun}s"
    return f"{noun}{method} v{recipe.get('version', '?')}"


def _sha256(known: Known) -> str:
    files = list(known.receipt.files.values())
    if known.rebuilt:
        return f"recipe {known.digest[:SHORT]}"
    return f"sha256 {files[0][:SHORT]}" if len(files) == 1 else f"{len(files)} files"


def where(members: list[Known]) -> str:
    """Where the bytes are: here, published through DVC, or nowhere."""
    places = Counter(_place(known) for known in members)
    return ", ".join(place if n == len(members) else f"{n} {place}" for place, n in places.items())


def _place(known: Known) -> str:
    n_here, n = known.n_here, len(known.receipt.files)
    if n_here == n and n:
        return "here, published" if known.published else "here"
    if n_here:
        return f"{n_here} of {n} files here"
    return "published, not here" if known.published else "bytes not here"


def options_of(recipe: dict) -> dict[str, Any]:
    """What of a recipe is neither a digest nor shown elsewhere, by dotted key."""
    shown = flat({key: value for key, value in recipe.items() if key not in UNSHOWN})
    return {key.removeprefix("options."): value for key, value in shown.items()}


def flat(value: Any, above: str = "") -> dict[str, Any]:
    """A nested mapping as one of dotted keys, without digests and lists of them."""
    if isinstance(value, dict):
        return {key: of for k, v in value.items() for key, of in flat(v, f"{above}.{k}" if above else k).items()}
    if is_digest(value) or (isinstance(value, list) and any(_holds_digest(item) for item in value)):
        return {}
    return {above: value}


def _holds_digest(item: Any) -> bool:
    return is_digest(item) or (isinstance(item, list) and any(is_digest(of) for of in item))


def text_of(options: dict[str, Any]) -> str:
    """Options on one line: `alpha 16, seed 0`."""
    return ", ".join(f"{key} {plain(value)}" for key, value in options.items())


def plain(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, list):
        return f"[{', '.join(map(plain, value))}]"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def made_with(known: list[Known]) -> list[str]:
    """Packages, code, machines and commits of a set of artifacts, one line each."""
    receipts = [k for k in known if not k.rebuilt]
    lines = ["made with:"]
    packages: dict[str, Counter] = {}
    for one in receipts:
        for package, version in one.versions.items():
            packages.setdefault(package, Counter())[version] += 1
    for package, versions in sorted(packages.items()):
        several = len(versions) > 1
        lines.append(
            f"  {package} " + ", ".join(f"{v} ({n} artifacts)" if several else v for v, n in sorted(versions.items()))
        )
    changed = Counter(module for one in receipts for module in one.changed)
    coded = sum(bool(one.receipt.code) for one in receipts)
    lines.append(
        f"  code: {coded} of {len(receipts)} receipts name modules; "
        + (
            f"changed since: {', '.join(f'{m} ({n})' for m, n in sorted(changed.items()))}"
            if changed
            else "none has changed since"
        )
    )
    return [*lines, *_runs(receipts)]


def _runs(known: list[Known]) -> list[str]:
    runs = [one.run for one in known if one.run]
    hosts = Counter(f"{run.get('host', 'unknown')}{', ' + run['gpu'] if run.get('gpu') else ''}" for run in runs)
    commits = Counter(
        f"{run['commit']}{' with changes' if run.get('dirty') else ''}" if run.get("commit") else "unknown"
        for run in runs
    )
    lines = [
        f"  {what}: {', '.join(f'{name} ({n} artifacts)' for name, n in sorted(found.items()))}"
        for what, found in (("machines", hosts), ("commits", commits))
        if found
    ]
    missing = len(known) - len(runs)
    return lines + ([f"  artifacts without facts of their run: {missing}"] if missing else [])
