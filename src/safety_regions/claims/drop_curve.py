"""What refinement takes away at every fraction p, beside what as much of another safety set takes away."""

from collections.abc import Mapping

import pandas as pd

from safety_regions.claims.estimates import Measured

COLUMNS = ["model", "method", "q", "p", "taken", "drop", "drop_low", "drop_high", "placebo_drop"]


def drop_rows(model: str, method: str, q: float, along_p: Mapping[float, Measured]) -> pd.DataFrame:
    """The rows of drop.csv of one model and method, one per fraction p of the utility regions, at fraction q.

    `drop`: the share of the mean raw IoU that refinement takes away, with its interval; `taken`: the share of the
    regions that it takes out; `placebo_drop`: what a third safety set takes away where it takes as much.
    """
    rows = []
    for p, measured in along_p.items():
        found = measured.refinement
        numbers = (found.taken, found.drop.value, found.drop.low, found.drop.high, found.placebo_drop)
        rows.append((model, method, q, p, *numbers))
    return pd.DataFrame(rows, columns=COLUMNS)
