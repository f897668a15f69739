"""Verdicts for machines (JSON) and for people (Markdown)."""

import math
from collections.abc import Sequence

from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.verdict import MARKS, Verdict, by_claim
from safety_regions.files import readable_json
from safety_regions.text import markdown_table


def to_json(verdicts: Sequence[Verdict]) -> str:
    """`claims` (id, statement, source, test) and `verdicts` (claim, model, method, verdict, effect, low, high, what,
    reason).

    Numbers have six digits behind the point; what is undefined is null.
    """
    claims = [{key: getattr(claim, key) for key in ("id", "statement", "source", "test")} for claim in CATALOGUE]
    return readable_json({"claims": claims, "verdicts": [_row(verdict) for verdict in verdicts]})


def _row(verdict: Verdict) -> dict[str, str | float | None]:
    outcome = verdict.outcome.rounded()
    numbers = {"effect": outcome.effect, "low": outcome.low, "high": outcome.high}
    return {
        "claim": verdict.claim.id,
        "model": verdict.model,
        "method": verdict.method,
        "verdict": outcome.decision,
        **{name: None if math.isnan(number) else number for name, number in numbers.items()},
        "what": verdict.claim.effect,
        "reason": outcome.reason,
    }


def to_markdown(verdicts: Sequence[Verdict]) -> str:
    """A row per model and method, a column per claim, with the effect; then what each claim says, and every reason."""
    cells = {(verdict.model, verdict.method, verdict.claim): _cell(verdict) for verdict in verdicts}
    regions = dict.fromkeys((verdict.model, verdict.method) for verdict in verdicts)
    rows = [[*region, *(cells.get((*region, claim), "") for claim in CATALOGUE)] for region in regions]
    lines = [
        *markdown_table(["model", "method", *(claim.short for claim in CATALOGUE)], rows),
        "",
        "The number is the effect; holds and does not hold mean that its whole interval is on one side of the line.",
        "",
    ]
    verdicts_on = by_claim(verdicts)
    for claim in CATALOGUE:
        lines += [f"**{claim.short}** ({claim.source}). {claim.statement} Test: {claim.test}", ""]
        lines += [_reason(verdict) for verdict in verdicts_on.get(claim, [])]
        lines.append("")
    return "\n".join(lines)


def _cell(verdict: Verdict) -> str:
    outcome = verdict.outcome
    effect = f" ({round(outcome.effect, 2) + 0.0:.2f})" if math.isfinite(outcome.effect) else ""
    return f"{MARKS[outcome.decision]} {outcome.decision}{effect}"


def _reason(verdict: Verdict) -> str:
    return f"- {verdict.model}, {verdict.method}: {verdict.outcome.decision}. {verdict.outcome.reason}"
