"""What a model does without each region and without its random ones: in rates, and prompt by prompt."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from safety_regions.config.evaluate import Evaluate
from safety_regions.evaluation.ablate import random_like
from safety_regions.evaluation.evaluate import Evaluation, Prompt, Questions, evaluate, removes_more
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
    "degenerate_rate",
    "answer_rate",
    "over_refusal_rate",
    "harmless_degenerate_rate",
    "harmless_answer_rate",
    "perplexity",
    "broken",
    "n_harmful",
    "n_harmless",
    VERDICT,
]
OUTCOME_COLUMNS = ["set", "condition", "seed", "asked", "asked_set", "id", "outcome"]
Remove = Callable[[Masks | None], AbstractContextManager[int | None]]
"""Takes a region out of the model while the block is open, or nothing; gives how many of the model's weights that
changes."""


@dataclass(frozen=True)
class Found:
    """What the model does without some of its elements."""

    share: float
    """Share of the method's elements taken out."""
    share_of_weights: float
    """Share of the model's weights that this changes; NaN if not known."""
    evaluation: Evaluation

    def row(self) -> dict:
        """As a row of evaluate.csv."""
        return {"share": self.share, "share_of_weights": self.share_of_weights, **self.evaluation.rates()}


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

    def intact(self) -> Found:
        """What the model does with nothing taken out. Raises `UserError` if its logits are not finite."""
        with self.remove(None):
            found = evaluate(self.loaded, self.questions, self.options.max_new_tokens)
        return Found(0.0, 0.0, found)

    def without(self, masks: Masks) -> Found:
        """What the model does without the elements in the masks."""
        with self.remove(masks) as changed:
            found = evaluate(self.loaded, self.questions, self.options.max_new_tokens, damaged=True)
        return Found(self.share(masks), np.nan if changed is None else changed / self.n_weights, found)


@dataclass(frozen=True)
class Tables:
    """What an evaluation found."""

    rates: pd.DataFrame
    """One row per set, condition and random region. `share` is that of the method's elements taken out,
    `share_of_weights` that of the model's weights."""
    outcomes: pd.DataFrame
    """The outcome of every prompt: one row per row of `rates` and prompt, so that conditions can be compared prompt by
    prompt."""
    verdicts: dict[str, dict[str, bool]]
    """By set and stage: whether the region removes more refusals than any of its random regions."""


@dataclass
class _Rows:
    """Rows of both tables, as they are found."""

    questions: Questions
    rates: list[dict] = field(default_factory=list)
    outcomes: list[dict] = field(default_factory=list)

    def add(self, known: dict, found: Found, **more: bool) -> None:
        self.rates.append({**known, **found.row(), **more})
        asked = (
            ("harmful", self.questions.harmful, found.evaluation.harmful),
            ("harmless", self.questions.harmless, found.evaluation.harmless),
        )
        for name, prompts, outcomes in asked:
            for prompt, outcome in zip(prompts, outcomes, strict=True):
                self.outcomes.append({**known, **_asked(name, prompt), "outcome": str(outcome)})


def _asked(name: str, prompt: Prompt) -> dict:
    return {"asked": name, "asked_set": prompt.set, "id": prompt.id}


def evaluation_tables(subject: Subject, safety: dict[str, Masks], removed: Masks, intact: Found) -> Tables:
    """The model asked without each set's region, raw and refined, and without random regions of the same sizes."""
    rows = _Rows(subject.questions)
    verdicts: dict[str, dict[str, bool]] = {}
    with progress(2 * len(safety), "evaluating", "regions") as bar:
        for name, raw in safety.items():
            rows.add({"set": name, "condition": "intact"}, intact)
            verdicts[name] = {}
            for stage, masks, forbidden in (("raw", raw, None), ("refined", without(raw, removed), removed)):
                region, controls = _without_region(subject, intact, masks, forbidden, f"{name}/{stage}")
                refused, *others = (found.row()["refusal_rate"] for found in (region, intact, *controls.values()))
                verdict = removes_more(others[0], refused, others[1:]) and not region.evaluation.broken
                rows.add({"set": name, "condition": stage}, region, **{VERDICT: verdict})
                for seed, control in controls.items():
                    rows.add({"set": name, "condition": f"random_{stage}", "seed": seed}, control)
                verdicts[name][stage] = verdict
                bar.update(1)
    return Tables(
        rates=pd.DataFrame(rows.rates, columns=COLUMNS),
        outcomes=pd.DataFrame(rows.outcomes, columns=OUTCOME_COLUMNS),
        verdicts=verdicts,
    )


def _without_region(
    subject: Subject, intact: Found, masks: Masks, forbidden: Masks | None, key: str
) -> tuple[Found, dict[int, Found]]:
    """What the model does without a region, and by seed without each of its random ones; all the same if the region is
    empty.
    """
    first = subject.options.seed
    seeds = range(first, first + subject.options.n_random)
    if subject.share(masks) == 0:
        return intact, dict.fromkeys(seeds, intact)
    region = subject.without(masks)
    controls = {seed: random_like(masks, subject.header, forbidden, f"{seed}/{key}") for seed in seeds}
    return region, {seed: subject.without(control) for seed, control in controls.items()}
