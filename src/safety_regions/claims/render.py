"""Verdicts for machines (JSON) and for people (Markdown)."""

import math
from collections.abc import Sequence
from typing import Any

from safety_regions.claims.catalogue import CATALOGUE, SOURCES
from safety_regions.claims.verdict import FAILS, HOLDS, MARKS, Verdict, by_claim
from safety_regions.files import readable_json
from safety_regions.text import markdown_table


def to_json(verdicts: Sequence[Verdict]) -> str:
    """`claims` (id, statement, source, test) and `verdicts`: claim, model, method, verdict, effect, low, high, p_value,
    p_holm, p_bh, what, reason, and `without`: verdict and effect without each set.

    Numbers have six digits behind the point; what is undefined is null.
    """
    claims = [{key: getattr(claim, key) for key in ("id", "statement", "source", "test")} for claim in CATALOGUE]
    return readable_json({"claims": claims, "verdicts": [_row(verdict) for verdict in verdicts]})


def _row(verdict: Verdict) -> dict[str, Any]:
    outcome = verdict.outcome.rounded()
    numbers = {name: getattr(outcome, name) for name in ("effect", "low", "high", "p_value")}
    numbers |= {"p_holm": verdict.p_holm, "p_bh": verdict.p_bh}
    return {
        "claim": verdict.claim.id,
        "model": verdict.model,
        "method": verdict.method,
        "verdict": outcome.decision,
        **{name: _number(number) for name, number in numbers.items()},
        "what": verdict.claim.effect,
        "reason": outcome.reason,
        "without": {
            name: {"verdict": of.decision, "effect": _number(of.rounded().effect)}
            for name, of in verdict.without.items()
        },
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def to_markdown(verdicts: Sequence[Verdict]) -> str:
    """A row per model and method, a column per claim, with the effect, the study's claims apart from ours; then what
    each claim says, and every reason.
    """
    cells = {(verdict.model, verdict.method, verdict.claim): _cell(verdict) for verdict in verdicts}
    regions = dict.fromkeys((verdict.model, verdict.method) for verdict in verdicts)
    lines: list[str] = []
    for source, name in SOURCES.items():
        claims = [claim for claim in CATALOGUE if claim.source == source]
        rows = [[*region, *(cells.get((*region, claim), "") for claim in claims)] for region in regions]
        lines += [f"### {name}", "", *markdown_table(["model", "method", *(claim.short for claim in claims)], rows), ""]
    lines += [
        "The number is the effect; holds and does not hold mean that its whole interval is on one side of the line. "
        "Undecided: the numbers do not tell. "
        "Not run: what would decide it was not computed; not applicable: the claim says nothing of that method.",
        "",
        after_many(verdicts),
        "",
    ]
    verdicts_on = by_claim(verdicts)
    for claim in CATALOGUE:
        lines += [f"**{claim.short}** ({claim.source}). {claim.statement} Test: {claim.test}", ""]
        lines += [_reason(verdict) for verdict in verdicts_on.get(claim, [])]
        lines.append("")
    return "\n".join(lines)


def after_many(verdicts: Sequence[Verdict]) -> str:
    """How many verdicts whose test is an interval over sets are decided, each for itself and all together."""
    tested = [verdict for verdict in verdicts if not math.isnan(verdict.p_holm)]
    decided = [verdict for verdict in tested if verdict.outcome.decision in (HOLDS, FAILS)]
    error = {verdict.error_rate for verdict in verdicts}
    n_holm, n_bh = (sum(getattr(of, name) < min(error, default=0) for of in decided) for name in ("p_holm", "p_bh"))
    return (
        f"Of {len(tested)} verdicts by intervals over sets {len(decided)} are decided, each for itself. "
        f"Held together, {n_holm} of these remain with Holm's correction, {n_bh} with Benjamini's and Hochberg's."
    )


def _cell(verdict: Verdict) -> str:
    outcome = verdict.outcome
    effect = f" ({round(outcome.effect, 2) + 0.0:.2f})" if math.isfinite(outcome.effect) else ""
    return f"{MARKS[outcome.decision]} {outcome.decision}{effect}"


def _reason(verdict: Verdict) -> str:
    moved = verdict.moved_most
    by = f" Moved most by {moved[0]}: {moved[1].effect:.2f} without it, {moved[1].decision}." if moved else ""
    return f"- {verdict.model}, {verdict.method}: {verdict.outcome.decision}. {verdict.outcome.reason}{by}"
