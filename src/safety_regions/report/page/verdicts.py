"""The claims as the page shows them: a sentence over all models, and a verdict for each model and method."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from safety_regions.claims.catalogue import SOURCES, Claim
from safety_regions.claims.verdict import FAILS, HOLDS, MARKS, NOT_APPLICABLE, NOT_RUN, UNDECIDED, Verdict, by_claim
from safety_regions.report.numbers import with_interval, words
from safety_regions.text import and_list

LEADS = {
    HOLDS: "Holds",
    FAILS: "Does not hold",
    UNDECIDED: "Cannot be decided",
    NOT_RUN: "Was not run",
    NOT_APPLICABLE: "Is not applicable",
}
"""By decision: how its part of the sentence begins."""


@dataclass(frozen=True)
class VerdictCell:
    """One verdict in words."""

    model: str
    method: str
    decision: str
    effect: str
    """The effect with its interval, and what it is."""
    reason: str
    sets: str = ""
    """The set that moves the effect most, and the verdict without it; empty where no set is left out."""
    together: str = ""
    """p, and p adjusted for all verdicts; empty where the test has none."""

    @classmethod
    def of(cls, verdict: Verdict) -> "VerdictCell":
        """The cell of a verdict, with numbers as verdicts.json has them."""
        outcome = verdict.outcome.rounded()
        effect = verdict.claim.effect
        if not math.isnan(outcome.effect):
            effect = f"{with_interval(outcome.effect, outcome.low, outcome.high)} {effect}"
        moved, p_values = verdict.moved_most, (outcome.p_value, verdict.p_holm, verdict.p_bh)
        sets = f"{moved[0]}: {words(moved[1].rounded().effect)} without it, {moved[1].decision}" if moved else ""
        together = "" if math.isnan(outcome.p_value) else ", ".join(words(round(p, 6)) for p in p_values)
        return cls(verdict.model, verdict.method, outcome.decision, effect, outcome.reason, sets, together)

    @property
    def mark(self) -> str:
        return MARKS[self.decision]

    @property
    def why(self) -> str:
        """All that is to be said of it."""
        return f"{self.model}, {self.method}: {self.decision}. {self.reason} Effect: {self.effect}."

    @property
    def style(self) -> str:
        """The class of the style sheet."""
        return self.decision.replace(" ", "-")


@dataclass(frozen=True)
class ClaimArticle:
    """One claim with all its verdicts."""

    claim: Claim
    sentence: str
    models: list[str]
    methods: list[str]
    cells: dict[tuple[str, str], VerdictCell]
    """By model and method."""

    @property
    def rows(self) -> list[str]:
        """Models or methods, whichever are more: the table is high rather than wide."""
        return max(self.models, self.methods, key=len)

    @property
    def columns(self) -> list[str]:
        return self.methods if self.rows is self.models else self.models

    def at(self, row: str, column: str) -> VerdictCell | None:
        """The cell of the table."""
        return self.cells.get((row, column) if self.rows is self.models else (column, row))


def claim_articles(verdicts: Sequence[Verdict]) -> list[ClaimArticle]:
    """The claims in the order in which verdicts on them come."""
    return [_article(claim, on_claim) for claim, on_claim in by_claim(verdicts).items()]


def claim_groups(verdicts: Sequence[Verdict]) -> dict[str, list[ClaimArticle]]:
    """The articles by who says so, the study first."""
    groups: dict[str, list[ClaimArticle]] = {}
    articles = claim_articles(verdicts)
    order = [*SOURCES, *dict.fromkeys(article.claim.source for article in articles)]
    for article in sorted(articles, key=lambda article: order.index(article.claim.source)):
        groups.setdefault(SOURCES.get(article.claim.source, article.claim.source), []).append(article)
    return groups


def _article(claim: Claim, verdicts: list[Verdict]) -> ClaimArticle:
    models = list(dict.fromkeys(verdict.model for verdict in verdicts))
    methods = list(dict.fromkeys(verdict.method for verdict in verdicts))
    cells = {(verdict.model, verdict.method): VerdictCell.of(verdict) for verdict in verdicts}
    return ClaimArticle(claim, sentence(list(cells.values())), models, methods, cells)


def sentence(cells: Sequence[VerdictCell]) -> str:
    """All verdicts on a claim in one sentence.

    `Holds with snip and wanda; does not hold with nlsr.` where each method has one verdict on all models; otherwise
    `Holds in 5 of 8 cases (with wanda on every model); does not hold in 3.`
    """
    decisions: dict[str, list[str]] = {}
    for cell in cells:
        decisions.setdefault(cell.method, []).append(cell.decision)
    agreed = {method: on_models[0] for method, on_models in decisions.items() if len(set(on_models)) == 1}
    on = " on every model" if any(len(on_models) > 1 for on_models in decisions.values()) else ""
    if len(agreed) == len(decisions) and len(set(agreed.values())) == 1:
        return f"{LEADS[cells[0].decision]} with every method{on}."
    parts = []
    for decision, lead in LEADS.items():
        n = sum(cell.decision == decision for cell in cells)
        methods = and_list([method for method, common in agreed.items() if common == decision])
        if n and len(agreed) == len(decisions):
            parts.append(f"{lead} with {methods}")
        elif n:
            cases = "" if parts else f" of {len(cells)} cases"
            parts.append(f"{lead} in {n}{cases}" + (f" (with {methods}{on})" if methods else ""))
    return "; ".join([parts[0], *(part[0].lower() + part[1:] for part in parts[1:])]) + "."
