"""Which rows of an overlap table a stage means: raw regions, or those refined with the union of the utility regions."""

import numpy as np
import pandas as pd
from jaxtyping import Int64

from safety_regions.overlap.counts import UNION


def at(table: pd.DataFrame, stage: str, q: float | None, p: float) -> pd.DataFrame:
    """Rows over the whole model of a stage: raw, or refined with the union of the utility regions at p; `q` None: at
    every q.
    """
    if table.empty:
        return table
    # Numbers first: texts take longer, and fewer rows are left for them.
    for column, number in (("q", q), ("p", None if stage == "raw" else p)):
        table = table if number is None else table[table[column].eq(number)]
    return table[_of_stage(table, stage)]


def row_numbers(table: pd.DataFrame, stage: str) -> dict[tuple[float, ...], Int64[np.ndarray, " rows"]]:
    """The numbers of the rows that `at` finds, by their fractions: (q,) of raw regions, (q, p) of refined ones."""
    if table.empty:
        return {}
    wanted = np.flatnonzero(_of_stage(table, stage).to_numpy(bool))
    fractions = table[["q"] if stage == "raw" else ["q", "p"]].iloc[wanted]
    groups = fractions.groupby(list(fractions), sort=False).indices
    return {tuple(np.atleast_1d(key).tolist()): wanted[rows] for key, rows in groups.items()}


def _of_stage(table: pd.DataFrame, stage: str) -> pd.Series:
    wanted = table["stage"].eq("raw") if stage == "raw" else table["utility"].eq(UNION)
    return wanted & table["scope"].eq("all") if "scope" in table else wanted


def whole_model(pairs: pd.DataFrame) -> pd.DataFrame:
    """Rows over the whole model at every q: raw, and refined with the union of the utility regions at every p."""
    return pairs[pairs["scope"].eq("all") & (pairs["stage"].eq("raw") | pairs["utility"].eq(UNION))]


def along_grid(pairs: pd.DataFrame) -> pd.DataFrame:
    """Rows over the whole model: raw at every q, and refined with the union of the utility regions at p = q."""
    refined = pairs["utility"].eq(UNION) & pairs["p"].eq(pairs["q"])
    return pairs[pairs["scope"].eq("all") & (pairs["stage"].eq("raw") | refined)]
