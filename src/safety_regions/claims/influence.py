"""Which safety set moves each estimate most, and what the estimate is without it."""

import math

import pandas as pd

from safety_regions.claims.estimates import ESTIMATES, Measured, Tables
from safety_regions.claims.jackknife import Estimate, moved_most

CHANGES = ("difference", "drop", "beyond_size", "placebo", "beyond_placebo")
"""Those of a `Refinement`."""
COLUMNS = ["model", "method", "stage", "estimate", "value", "low", "high", "moved_by", "without"]


def influence_rows(model: str, method: str, tables: Tables, measured: Measured) -> pd.DataFrame:
    """The rows of influence.csv of one model and method: one per estimate that is defined, stage by stage.

    `moved_by`: the set without which it is farthest from that of all sets, the first of equals; `without`: what it is
    then. Nothing where it is undefined without any of them, as of two sets.
    """
    estimates: list[tuple[str, str, Estimate]] = [
        (stage, name, getattr(of, name)) for stage, of in measured.stages.items() for name in (*ESTIMATES, "apart")
    ]
    estimates += [("refined", name, getattr(measured.refinement, name)) for name in CHANGES]
    rows = []
    for stage, name, of in estimates:
        if not math.isnan(of.value):
            without = dict(zip(tables.sets, of.without, strict=True))
            moved_by = moved_most(of.value, without)
            numbers = (of.value, of.low, of.high)
            rows.append((model, method, stage, name, *numbers, moved_by or "", without.get(moved_by or "", math.nan)))
    return pd.DataFrame(rows, columns=COLUMNS)
