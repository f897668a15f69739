"""The claims as the page shows them: a sentence over all models, and a verdict for each model and method."""

from dataclasses import dataclass
from typing import Any

from safety_regions.report.numbers import with_interval

MARKS = {"holds": "\u2713", "does not hold": "\u2717", "undecided": "?"}
LEADS = {"holds": "Holds", "does not hold": "Does not hold", "undecided": "Cannot be decided"}


@dataclass(frozen=True)
class Verdict:
    """One cell."""

    model: str
    method: str
    verdict: str
    effect: str
    """The effect with its interval, in words."""
    reason: str

    @property
    def mark(self) -> str:
        return MARKS.get(self.verdict, "?")

    @property
    def why(self) -> str:
        """All that is to be said of it."""
        return f"{self.model}, {self.method}: {self.verdict}. {self.reason}" + (
            f" Effect: {self.effect}." if self.effect else ""
        )

    @property
    def kind(self) -> str:
        """The class of the style sheet."""
        return self.verdict.replace(" ", "-") if self.verdict in MARKS else "undecided"


@dataclass(frozen=True)
class Claim:
    """One claim with all its verdicts."""

    id: str
    statement: str
    source: str
    test: str
    sentence: str
    models: list[str]
    methods: list[str]
    cells: dict[tuple[str, str], Verdict]

    @property
    def rows(self) -> list[str]:
        """Models or methods, whichever are more: the table is high rather than wide."""
        return max(self.models, self.methods, key=len)

    @property
    def columns(self) -> list[str]:
        return self.methods if self.rows is self.models else self.models

    def at(self, row: str, column: str) -> Verdict | None:
        """The cell of the table."""
        return self.cells.get((row, column) if self.rows is self.models else (column, row))


def claims(content: dict[str, Any]) -> list[Claim]:
    """The claims of verdicts.json in its order; none for an empty one."""
    return [_claim(claim, content["verdicts"]) for claim in content.get("claims", [])]


def _claim(claim: dict[str, Any], all_verdicts: list[dict[str, Any]]) -> Claim:
    rows = [row for row in all_verdicts if row["claim"] == claim["id"]]
    cells = {(row["model"], row["method"]): _verdict(row) for row in rows}
    models, methods = (list(dict.fromkeys(row[key] for row in rows)) for key in ("model", "method"))
    said = sentence(list(cells.values()))
    return Claim(claim["id"], claim["statement"], claim["source"], claim["test"], said, models, methods, cells)


def _verdict(row: dict[str, Any]) -> Verdict:
    effect = "" if row.get("effect") is None else with_interval(row["effect"], row.get("low"), row.get("high"))
    return Verdict(
        row["model"], row["method"], row["verdict"], " ".join(filter(None, [effect, row.get("what")])), row["reason"]
    )


def sentence(cells: list[Verdict]) -> str:
    """All verdicts on a claim in one sentence.

    `Holds with snip and wanda; does not hold with nlsr.` where each method has one verdict on all models; otherwise
    `Holds in 5 of 8 cases (with wanda on every model); does not hold in 3.`
    """
    if not cells:
        return "Decided for no model."
    found: dict[str, list[str]] = {}
    for cell in cells:
        found.setdefault(cell.method, []).append(cell.verdict)
    agreed = {method: words[0] for method, words in found.items() if len(set(words)) == 1}
    on = " on every model" if any(len(words) > 1 for words in found.values()) else ""
    if len(agreed) == len(found) and len(set(agreed.values())) == 1:
        return f"{LEADS[cells[0].verdict]} with every method{on}."
    parts = []
    for verdict, lead in LEADS.items():
        n = sum(cell.verdict == verdict for cell in cells)
        methods = _and([method for method, word in agreed.items() if word == verdict])
        if n and len(agreed) == len(found):
            parts.append(f"{lead} with {methods}")
        elif n:
            of = "" if parts else f" of {len(cells)} cases"
            parts.append(f"{lead} in {n}{of}" + (f" (with {methods}{on})" if methods else ""))
    return "; ".join([parts[0], *(part[0].lower() + part[1:] for part in parts[1:])]) + "."


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
