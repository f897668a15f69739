"""Which rows of an overlap table a stage means: raw regions, or those refined with the union of the utility regions."""

import pandas as pd

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
    wanted = table["stage"].eq("raw") if stage == "raw" else table["utility"].eq(UNION)
    return table[wanted & table["scope"].eq("all")] if "scope" in table else table[wanted]


def at_q(table: pd.DataFrame, q: float) -> pd.DataFrame:
    """Rows at fraction q of the safety regions; a table of nothing as it is."""
    return table if table.empty else table[table["q"].eq(q)]


def whole_model(pairs: pd.DataFrame) -> pd.DataFrame:
    """Rows over the whole model at every q: raw, and refined with the union of the utility regions at every p."""
    return pairs[pairs["scope"].eq("all") & (pairs["stage"].eq("raw") | pairs["utility"].eq(UNION))]


def along_grid(pairs: pd.DataFrame) -> pd.DataFrame:
    """Rows over the whole model: raw at every q, and refined with the union of the utility regions at p = q."""
    refined = pairs["utility"].eq(UNION) & pairs["p"].eq(pairs["q"])
    return pairs[pairs["scope"].eq("all") & (pairs["stage"].eq("raw") | refined)]
