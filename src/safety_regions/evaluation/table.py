"""What a model does without each region and without its random ones, as one table."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from safety_regions.config.evaluate import Evaluate
from safety_regions.evaluation.ablate import random_like
from safety_regions.evaluation.evaluate import Questions, evaluate, removes_more
from safety_regions.models.load import LoadedModel
from safety_regions.progress import progress
from safety_regions.regions.format import Header
from safety_regions.regions.masks import Masks, without

VERDICT = "removes_more_than_random"
COLUMNS = [
    "set",
    "condition",
    "seed",
    "share",
    "share_of_weights",
    "refusal_rate",
    "over_refusal_rate",
    "perplexity",
    "n_harmful",
    "n_harmless",
    VERDICT,
]
Remove = Callable[[Masks | None], AbstractContextManager[int | None]]
"""Takes a region out of the model while the block is open, or nothing; gives how many of the model's weights that
changes."""


@dataclass(frozen=True)
class Subject:
    """A model, the questions to it, and how regions are taken out of it."""

    loaded: LoadedModel
    questions: Questions
    options: Evaluate
    remove: Remove
    header: Header
    n_weights: int
    """Weights in the model's scored matrices."""

    def share(self, masks: Masks) -> float:
        """The share of the method's elements that are in the masks."""
        shapes = self.header.shapes
        n = sum(int(np.bitwise_count(masks(own)).sum(dtype=np.int64)) for own in shapes)
        return n / sum(rows * columns for rows, columns in shapes.values())

    def without(self, masks: Masks | None) -> dict:
        """What the model does without the elements in the masks, and the share of its weights that this changes."""
        with self.remove(masks) as changed:
            found = evaluate(self.loaded, self.questions, self.options.max_new_tokens)
        return {"share_of_weights": np.nan if changed is None else changed / self.n_weights, **asdict(found)}


def evaluation_table(
    subject: Subject, safety: dict[str, Masks], removed: Masks, intact: dict
) -> tuple[pd.DataFrame, dict]:
    """One row per set, condition and random region; and for each set and stage, whether the region removes more
    refusals than any of its random regions. `share` is that of the method's elements taken out, `share_of_weights` that
    of the model's weights.
    """
    rows: list[dict] = []
    verdicts: dict[str, dict[str, bool]] = {}
    with progress(2 * len(safety), "evaluating", "regions") as bar:
        for name, raw in safety.items():
            rows.append({"set": name, "condition": "intact", **intact})
            verdicts[name] = {}
            for stage, masks, forbidden in (("raw", raw, None), ("refined", without(raw, removed), removed)):
                region, *controls = _without_region(subject, intact, masks, forbidden, f"{name}/{stage}")
                verdict = removes_more(
                    intact["refusal_rate"], region["refusal_rate"], [row["refusal_rate"] for row in controls]
                )
                rows.append({"set": name, "condition": stage, **region, VERDICT: verdict})
                rows += [{"set": name, "condition": f"random_{stage}", **row} for row in controls]
                verdicts[name][stage] = verdict
                bar.update(1)
    return pd.DataFrame(rows, columns=COLUMNS), verdicts


def _without_region(subject: Subject, intact: dict, masks: Masks, forbidden: Masks | None, key: str) -> list[dict]:
    """What the model does without a region, then without each of its random ones; all the same if the region is
    empty.
    """
    header, first = subject.header, subject.options.seed
    share, seeds = subject.share(masks), range(first, first + subject.options.n_random)
    if share == 0:
        return [intact, *({**intact, "seed": seed} for seed in seeds)]
    rows = [{"share": share, **subject.without(masks)}]
    for seed in seeds:
        control = random_like(masks, header, forbidden, f"{seed}/{key}")
        rows.append({"share": share, "seed": seed, **subject.without(control)})
    return rows
