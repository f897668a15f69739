"""What a receipt says of the judge that told its outcomes, and of how far patterns agree with it."""

import pandas as pd

from safety_regions.models.outcomes import BY_PATTERNS
from safety_regions.steps.entry import Entry


def judged_facts(entry: Entry, outcomes: pd.DataFrame) -> dict:
    """The judge's id, and how many prompts of outcomes.csv have each outcome by it and by patterns, as
    `refuses/answers`; nothing where patterns told.
    """
    if BY_PATTERNS not in outcomes:
        return {}
    counts = (outcomes["outcome"] + "/" + outcomes[BY_PATTERNS]).value_counts().sort_index()
    return {
        "judge": {
            "model": entry.recipe_of("judge")["model"],
            "n_told": len(outcomes),
            "n_as_patterns": int(outcomes["outcome"].eq(outcomes[BY_PATTERNS]).sum()),
            "by_judge_and_patterns": {str(pair): int(n) for pair, n in counts.items()},
        }
    }
