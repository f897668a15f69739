"""Every verdict under other choices that could have been made: other fractions q and p of the grid, and other sets.

It takes no further run: the tables have all fractions, and leaving out a set is what the jackknife does. Of other
scopes, seeds, splits, numbers of prompts and response policies it says nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from safety_regions.claims.constrained import Constrained
from safety_regions.claims.estimates import Measured, Tables, estimates
from safety_regions.claims.rules import TESTS, Evidence
from safety_regions.claims.verdict import NOT_APPLICABLE, NOT_RUN, Outcome, Verdict
from safety_regions.config.claims import Claims

OTHER_Q, OTHER_P, WITHOUT = "q", "p", "set"
"""What is varied; nothing in the row of the verdict itself."""
COLUMNS = [
    *("claim", "model", "method", "varied", "q", "p", "without"),
    *("verdict", "effect", "low", "high", "agrees"),
]


def stability_rows(
    tables: Tables, verdicts: Sequence[Verdict], lines: Claims, along_p: Mapping[float, Measured]
) -> pd.DataFrame:
    """The rows of stability.csv of one model and method: of each verdict that was decided by something, the verdict
    itself, then one row per other q at the tables' p, per other p at their q, and per set left out.

    `along_p`: the estimates at every p. `agrees`: whether the verdict is the same; None where a choice was not run. A
    claim about raw regions alone has no p, and a method whose regions are as large at every fraction neither. Models
    without a region were asked beside all controls at one q and p alone, those fine-tuned are of one q and p, and the
    regions of all sets together are compared at one p.
    """
    rows = []
    asked = [verdict for verdict in verdicts if verdict.outcome.decision not in (NOT_RUN, NOT_APPLICABLE)]
    elsewhere = list(_elsewhere(tables, lines, along_p)) if asked else []
    for verdict in asked:
        about = (verdict.claim.id, verdict.model, verdict.method)
        rows.append((*about, "", tables.q, tables.p, "", *_numbers(verdict, verdict.outcome)))
        for varied, evidence in elsewhere:
            if varied in verdict.claim.fractions:
                of, outcome = evidence.tables, TESTS[verdict.claim.id](evidence)
                rows.append((*about, varied, of.q, of.p, "", *_numbers(verdict, outcome)))
        for name, outcome in verdict.without.items():
            rows.append((*about, WITHOUT, tables.q, tables.p, name, *_numbers(verdict, outcome)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _elsewhere(tables: Tables, lines: Claims, along_p: Mapping[float, Measured]) -> Iterator[tuple[str, Evidence]]:
    """What is varied, and the evidence at every other q and at every other p."""
    if not tables.sizes_vary:
        return
    # An evaluation has all its controls at the tables' own fractions alone, and fine-tunings are of regions at these.
    overlaps = replace(tables, evaluated=pd.DataFrame(), outcomes=pd.DataFrame(), constrained=Constrained())
    grid = tables.grid
    for q in sorted(tables.pairs["q"].unique().tolist()):
        if q != tables.q:
            yield OTHER_Q, Evidence(replace(overlaps, q=q), estimates(grid.at_q(q), lines.confidence), lines)
    for p, measured in along_p.items():
        if p != tables.p:
            yield OTHER_P, Evidence(replace(overlaps, p=p), measured, lines)


def _numbers(verdict: Verdict, outcome: Outcome) -> tuple[str, float, float, float, bool | None]:
    of = outcome.rounded()
    agrees = None if of.decision in (NOT_RUN, NOT_APPLICABLE) else of.decision == verdict.outcome.decision
    return of.decision, of.effect, of.low, of.high, agrees
