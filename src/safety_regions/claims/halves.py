"""How alike the halves of sets are, set by set: what the ceiling and the IoU between sets are means of."""

import pandas as pd

from safety_regions.claims.estimates import Tables

COLUMNS = ["model", "method", "stage", "q", "p", "a", "b", "half_prompts", "iou", "floor", "n_pairs"]


def halves_rows(model: str, method: str, tables: Tables) -> pd.DataFrame:
    """The rows of halves.csv of one model and method: one per stage, fraction q and two safety sets, in their order.

    Mean IoU and chance floor over the `n_pairs` defined pairs of halves, one of each set: of the two of one set where
    `a` is `b`, with no prompt in common. `half_prompts`: the mean number of prompts of a half. Refined rows are those
    with the union of the utility regions at the tables' p.
    """
    replicates = tables.replicates
    if replicates.empty:
        return pd.DataFrame(columns=COLUMNS)
    halves = replicates[replicates["kind"].eq("halves") & replicates[["a", "b"]].isin(tables.sets).all(axis=1)]
    # A pair may stand in the table as (a, b) here and as (b, a) there.
    order = {name: place for place, name in enumerate(tables.sets)}
    ends = [sorted(pair, key=order.__getitem__) for pair in zip(halves["a"], halves["b"], strict=True)]
    halves = halves.assign(a=[a for a, _ in ends], b=[b for _, b in ends])
    halves = halves.assign(half_prompts=halves[["n_samples_a", "n_samples_b"]].mean(axis=1))
    by_two = halves.groupby(["stage", "q", "p", "a", "b"], sort=False, dropna=False)
    means = by_two[["half_prompts", "iou", "floor_iou"]].mean().rename(columns={"floor_iou": "floor"})
    rows = means.assign(n_pairs=by_two["iou"].count()).reset_index()
    return rows.assign(model=model, method=method)[COLUMNS]
