"""Do regions follow the prompt or the response: overlap of regions that share the one, the other, both, or neither."""

import pandas as pd

from safety_regions.claims.estimates import Tables
from safety_regions.claims.rows import at
from safety_regions.overlap.counts import STAGES

OWN = "own"
SAME_PROMPTS = "same prompts, other responses"
SAME_RESPONSES = "other prompts, same responses"
OTHER_PROMPTS = "other prompts, other responses"
COLUMNS = ["model", "method", "stage", "comparison", "iou", "floor", "n_pairs"]


def compared(replicates: pd.DataFrame) -> pd.DataFrame:
    """The rows of the response controls with a column `comparison`, which says in words what the two regions share.

    `other responses`: two different fixed texts; `own and fixed responses`: the model's or set's own against a fixed
    text.
    """
    rows = replicates[replicates["kind"] == "responses"] if len(replicates) else replicates
    if not len(rows):
        return pd.DataFrame(columns=[*replicates.columns, "comparison"])
    return rows.assign(comparison=[_comparison(row) for row in rows.to_dict("records")])


def response_rows(model: str, method: str, tables: Tables) -> pd.DataFrame:
    """One row per stage and comparison: mean IoU and mean chance floor over its defined pairs of regions, and their
    number.
    """
    rows = []
    for stage in STAGES:
        of_stage = compared(at(tables.replicates, stage, tables.q, tables.p))
        for comparison, pairs in of_stage.groupby("comparison", sort=False):
            defined = pairs[pairs["iou"].notna()]
            means = (defined["iou"].mean(), defined["floor_iou"].mean())
            rows.append((model, method, stage, comparison, *means, len(defined)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _comparison(row: dict) -> str:
    prompts = _prompts(row["a"], row["b"], bool(row["harmless_a"]), bool(row["harmless_b"]))
    return f"{prompts}, {_responses(row['variant_a'], row['variant_b'])}"


def _prompts(a: str, b: str, harmless_a: bool, harmless_b: bool) -> str:
    if harmless_a != harmless_b:
        return "harmful and harmless prompts"
    whose = "harmless prompts" if harmless_a else "prompts"
    return f"same {whose}" if a == b else f"other {whose}"


def _responses(a: str, b: str) -> str:
    if OWN in (a, b):
        return "own responses" if a == b else "own and fixed responses"
    return "same responses" if a == b else "other responses"
