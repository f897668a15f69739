"""What a judge told where models were asked, beside what patterns say of the same answers."""

import pandas as pd

from safety_regions.models.outcomes import BY_PATTERNS
from safety_regions.report.columns import COUNT, NAME, SHARE, Column, Table

COLUMNS = ["judge", "outcome", BY_PATTERNS, "n", "share"]


def judged_counts(judge: str, outcomes: list[pd.DataFrame]) -> pd.DataFrame:
    """How many rows of the tables `outcomes.csv` have each outcome by the judge and by patterns; empty where patterns
    told.
    """
    told = [table[["outcome", BY_PATTERNS]] for table in outcomes if BY_PATTERNS in table]
    if not told:
        return pd.DataFrame(columns=COLUMNS)
    counts = pd.concat(told).value_counts(sort=False).sort_index().rename("n").reset_index()
    return counts.assign(judge=judge, share=counts["n"] / counts["n"].sum())[COLUMNS]


def judged_table(judged: pd.DataFrame) -> Table:
    """The counts, and in the caption the share on which both agree."""
    agree = judged.loc[judged["outcome"].eq(judged[BY_PATTERNS]), "n"].sum()
    caption = (
        f"Outcomes as {judged['judge'].iloc[0]} tells them, where models were asked without regions or after "
        f"fine-tuning; patterns say the same of {agree} of {judged['n'].sum()} answers. Of the responses that regions "
        "are identified from, patterns tell."
    )
    columns = [
        Column(NAME, "By the judge", "by the judge"),
        Column(NAME, "By patterns", "by patterns"),
        Column(COUNT, "Answers", "answers"),
        Column(SHARE, "Share", "share"),
    ]
    rows = list(judged[["outcome", BY_PATTERNS, "n", "share"]].itertuples(index=False))
    return Table("judged", caption, columns, rows, 2)
