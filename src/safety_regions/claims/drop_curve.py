"""What refinement takes away at every fraction p, beside what as much of another safety set takes away."""

from dataclasses import replace

import pandas as pd

from safety_regions.claims.estimates import Tables, refinement

COLUMNS = ["model", "method", "q", "p", "taken", "drop", "drop_low", "drop_high", "placebo_drop"]


def drop_rows(model: str, method: str, tables: Tables, confidence: float) -> pd.DataFrame:
    """The rows of drop.csv of one model and method, one per fraction p of the utility regions, at the tables' q.

    `drop`: the share of the mean raw IoU that refinement takes away, with its interval; `taken`: the share of the
    regions that it takes out; `placebo_drop`: what a third safety set takes away where it takes as much.
    """
    refined = tables.pairs[tables.pairs["stage"].eq("refined") & tables.pairs["q"].eq(tables.q)]
    rows = []
    for p in sorted(refined["p"].unique()):
        found = refinement(replace(tables, p=p), confidence)
        numbers = (found.taken, found.drop.value, found.drop.low, found.drop.high, found.placebo_drop)
        rows.append((model, method, tables.q, p, *numbers))
    return pd.DataFrame(rows, columns=COLUMNS)
