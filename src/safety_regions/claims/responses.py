"""Do regions follow the prompt or the response: overlap of regions that share the one, the other, both, or neither."""

import pandas as pd

from safety_regions.claims.estimates import Tables
from safety_regions.claims.rows import STAGES, at

OWN = "own"
SAME_PROMPTS = "same prompts, other responses"
SAME_RESPONSES = "other prompts, same responses"
COLUMNS = ["model", "method", "stage", "comparison", "iou", "floor", "n_pairs"]


def compared(replicates: pd.DataFrame) -> pd.DataFrame:
    """The rows of the response controls with a column `comparison`, which says in words what the two regions share.

    `other responses`: two different fixed texts; `own and fixed responses`: the model's or set's own against a fixed
    text.
    """
    rows = replicates[replicates["kind"] == "responses"] if len(replicates) else replicates
    if not len(rows):
        return pd.DataFrame(columns=[*replicates.columns, "comparison"])
    columns = (rows["a"], rows["b"], rows["harmless_a"], rows["harmless_b"], rows["variant_a"], rows["variant_b"])
    words = [
        f"{_prompts(a, b, bool(x), bool(y))}, {_responses(v, w)}" for a, b, x, y, v, w in zip(*columns, strict=True)
    ]
    return rows.assign(comparison=words)


def responses(model: str, method: str, tables: Tables) -> pd.DataFrame:
    """One row per stage and comparison: mean IoU and mean chance floor over its defined pairs of regions, and their
    number.
    """
    known = compared(tables.replicates)
    parts = []
    for stage in STAGES:
        groups = at(known, stage, tables.q, tables.p).groupby("comparison", sort=False) if len(known) else ()
        for comparison, rows in groups:
            defined = rows[rows["iou"].notna()]
            parts.append(
                (model, method, stage, comparison, defined["iou"].mean(), defined["floor_iou"].mean(), len(defined))
            )
    return pd.DataFrame(parts, columns=COLUMNS)


def _prompts(a: str, b: str, harmless_a: bool, harmless_b: bool) -> str:
    if harmless_a != harmless_b:
        return "harmful and harmless prompts"
    whose = "harmless prompts" if harmless_a else "prompts"
    return f"same {whose}" if a == b else f"other {whose}"


def _responses(a: str, b: str) -> str:
    if OWN in (a, b):
        return "own responses" if a == b else "own and fixed responses"
    return "same responses" if a == b else "other responses"
