"""Verdicts for machines (JSON) and for people (Markdown)."""

import math
from collections.abc import Sequence

from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.verdict import FAILS, HOLDS, UNDECIDED, Verdict
from safety_regions.files import readable_json

MARKS = {HOLDS: "✓ holds", FAILS: "✗ does not hold", UNDECIDED: "? undecided"}


def to_json(verdicts: Sequence[Verdict]) -> str:
    """`claims` (id, statement, source, test) and `verdicts` (claim, model, method, verdict, effect, low, high, what,
    reason).

    Numbers have six digits behind the point; what is undefined is null.
    """
    claims = [{"id": c.id, "statement": c.statement, "source": c.source, "test": c.test} for c in CATALOGUE]
    return readable_json({"claims": claims, "verdicts": [_row(verdict) for verdict in verdicts]})


def _row(verdict: Verdict) -> dict:
    found = verdict.finding
    numbers = {key: _number(getattr(found, key)) for key in ("effect", "low", "high")}
    names = {"claim": verdict.claim, "model": verdict.model, "method": verdict.method}
    return {**names, "verdict": found.verdict, **numbers, "what": found.what, "reason": found.reason}


def _number(value: float) -> float | None:
    # -0.0 and 0.0 are one number and must be one text.
    return round(value, 6) + 0.0 if math.isfinite(value) else None


def to_markdown(verdicts: Sequence[Verdict]) -> str:
    """One row per model and method, one column per claim, with the effect; then what each claim says, and every reason."""
    by = {(v.model, v.method, v.claim): v for v in verdicts}
    regions = list(dict.fromkeys((v.model, v.method) for v in verdicts))
    lines = [
        "| model | method | " + " | ".join(c.short for c in CATALOGUE) + " |",
        "|---|---|" + "---|" * len(CATALOGUE),
    ]
    for model, method in regions:
        cells = [_cell(by.get((model, method, c.id))) for c in CATALOGUE]
        lines.append(f"| {model} | {method} | {' | '.join(cells)} |")
    lines += [
        "",
        "The number is the effect; holds and does not hold mean that its whole interval is on one side of the line.",
        "",
    ]
    for claim in CATALOGUE:
        lines += [f"**{claim.short}** ({claim.source}). {claim.statement} Test: {claim.test}", ""]
        lines += [_reason(by[of, method, claim.id]) for of, method in regions if (of, method, claim.id) in by]
        lines.append("")
    return "\n".join(lines)


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    effect = verdict.finding.effect
    return MARKS[verdict.finding.verdict] + (f" ({round(effect, 2) + 0.0:.2f})" if math.isfinite(effect) else "")


def _reason(verdict: Verdict) -> str:
    return f"- {verdict.model}, {verdict.method}: {verdict.finding.verdict}. {verdict.finding.reason}"
