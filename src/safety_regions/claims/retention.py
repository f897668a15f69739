"""What one set more keeps of that which all other sets have in common.

    retention of set i = |all N regions| / |all but that of i|

The IoU of all N regions falls with N at any overlap of pairs (`safety_regions.claims.latent.iou_of_many`), so with
enough sets it is near zero whatever is common. Retention asks of each set by itself: a core that sets like these have
in common makes it 1 in the end, and regions that agree by chance alone make it the chance with which one holds an
element.
"""

import pandas as pd

COUNTS = {"kept": "intersection", "by_chance": "floor_intersection"}


def retention(nway: pd.DataFrame) -> pd.DataFrame:
    """By set its retention, `kept`, and that of a random region among random ones, `by_chance`.

    `nway`: rows of one condition with `order`, `n`, `added`, `intersection`, `floor_intersection`; a set's are those of
    the orders that end with it, all of which say the same. Without the sets that end none; NaN where the others have
    nothing in common.
    """
    n_sets = nway["n"].max()
    last = nway[nway["n"] == n_sets].set_index("order")
    before = nway[nway["n"] == n_sets - 1].set_index("order").reindex(last.index)
    # Random regions may have next to nothing in common, and yet keep a share of it.
    kept = {name: last[column] / before[column].where(before[column] > 0) for name, column in COUNTS.items()}
    return pd.DataFrame(kept).groupby(last["added"]).mean()
