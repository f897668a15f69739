"""What a model does without each region and without what is taken out instead: in rates, and prompt by prompt."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from safety_regions.config.evaluate import Evaluate
from safety_regions.evaluation.same_damage import same_damage
from safety_regions.models.behaviour import ASKED, FOUND, Evaluation, Questions, evaluate, with_patterns
from safety_regions.models.judge import Judge
from safety_regions.models.load import LoadedModel
from safety_regions.models.response_loss import response_loss
from safety_regions.progress import progress
from safety_regions.regions.first_elements import Nest, first_elements
from safety_regions.regions.format import Header, Words
from safety_regions.regions.masks import Masks, without
from safety_regions.regions.random_regions import (
    Magnitudes,
    count_of,
    grown,
    largest_factor,
    random_as_large,
    random_like,
)

VERDICT = "removes_more_than_random"
COLUMNS = ["set", "condition", "dose", "seed", "share", "share_of_weights", *FOUND, VERDICT]
OUTCOME_COLUMNS = ["set", "condition", "dose", "seed", *ASKED]
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
    magnitudes: Magnitudes | None
    """How large the method's elements are; None for layers, of which no two are alike."""
    judge: Judge | None = None
    """What tells outcomes; None: patterns do."""

    def size(self, masks: Masks) -> int:
        """How many of the method's elements are in the masks."""
        return sum(count_of(masks(own)) for own in self.header.shapes)

    def intact(self) -> Found:
        """What the model does with nothing taken out. Raises `UserError` if its logits are not finite."""
        with self.remove(None):
            found = evaluate(self.loaded, self.questions, self.options.max_new_tokens, judge=self.judge)
        return Found(0.0, 0.0, found)

    def without(self, masks: Masks) -> Found:
        """What the model does without the elements in the masks."""
        sizes: dict[str, int] = {}

        def counted(own: str) -> Words:
            words = masks(own)
            sizes[own] = count_of(words)
            return words

        # Masks of random regions are drawn when they are asked for, so they are counted on their way.
        with self.remove(counted) as changed:
            found = evaluate(self.loaded, self.questions, self.options.max_new_tokens, damaged=True, judge=self.judge)
        share = sum(sizes.values()) / sum(rows * columns for rows, columns in self.header.shapes.values())
        return Found(share, np.nan if changed is None else changed / self.n_weights, found)

    def perplexity_without(self, masks: Masks) -> float:
        """Of the ordinary responses, without the elements in the masks."""
        with self.remove(masks):
            return response_loss(self.loaded, self.questions.texts).perplexity


@dataclass(frozen=True)
class Regions:
    """The regions of one method."""

    safety: dict[str, Callable[[float], Masks]]
    """By safety set, its masks at a fraction of the grid."""
    removed: Masks
    """The union of the utility regions that refinement takes out of them."""
    utility: Nest
    """The union of the utility regions at every fraction."""
    harmless: dict[str, Nest]
    """By safety set, the refined region of harmless prompts with its responses, at every fraction."""


@dataclass(frozen=True)
class Tables:
    """What an evaluation found."""

    rates: pd.DataFrame
    """One row per set, condition, dose and draw. `dose` is the fraction at which the region was cut, `share` the share
    of the method's elements taken out, `share_of_weights` that of the model's weights."""
    outcomes: pd.DataFrame
    """The outcome of every prompt: one row per row of `rates` and prompt, so that conditions can be compared prompt by
    prompt."""
    verdicts: dict[str, dict[float, bool]]
    """By set and dose: whether the refined region removes more refusals than any random one of its size."""


@dataclass
class _Rows:
    """Rows of both tables, as they are found."""

    questions: Questions
    rates: list[dict] = field(default_factory=list)
    outcomes: list[dict] = field(default_factory=list)

    def add(self, known: dict, found: Found, **more: bool) -> None:
        self.rates.append({**known, **found.row(), **more})
        self.outcomes += [{**known, **prompt} for prompt in found.evaluation.prompts(self.questions)]


def evaluation_tables(subject: Subject, regions: Regions, doses: list[float], q: float, intact: Found) -> Tables:
    """The model asked without each set's region, raw and refined, at every dose, and without the controls of each
    refined region. At q there are `n_random` random regions of the same size, at other doses as many as of other kinds.
    """
    rows = _Rows(subject.questions)
    verdicts: dict[str, dict[float, bool]] = {name: {} for name in regions.safety}
    with progress(len(regions.safety) * len(doses), "evaluating", "regions") as bar:
        for name, masks_at in regions.safety.items():
            rows.add({"set": name, "condition": "intact"}, intact)
            for dose in doses:
                known, raw = {"set": name, "dose": dose}, masks_at(dose)
                rows.add({**known, "condition": "raw"}, subject.without(raw) if subject.size(raw) else intact)
                cut = _Cut(subject, regions, intact, name, dose, without(raw, regions.removed))
                controls = list(cut.controls(subject.options.n_random if dose == q else subject.options.n_matched))
                verdicts[name][dose] = _removes_more(intact, cut.region, controls)
                rows.add({**known, "condition": "refined"}, cut.region, **{VERDICT: verdicts[name][dose]})
                for control in controls:
                    rows.add({**known, "condition": control.condition, "seed": control.seed}, control.found)
                bar.update(1)
    return Tables(
        rates=pd.DataFrame(rows.rates, columns=COLUMNS),
        outcomes=pd.DataFrame(rows.outcomes, columns=with_patterns(OUTCOME_COLUMNS, rows.outcomes)),
        verdicts=verdicts,
    )


@dataclass(frozen=True)
class _Control:
    """What the model does without something else than a region."""

    condition: str
    seed: int | None
    found: Found


class _Cut:
    """One set's refined region at one dose, and its controls."""

    def __init__(self, subject: Subject, regions: Regions, intact: Found, name: str, dose: float, masks: Masks):
        self.subject, self.regions, self.intact, self.name, self.masks = subject, regions, intact, name, masks
        self.key = f"{name}/{dose:g}"
        self.size = subject.size(masks)
        self.region = subject.without(masks) if self.size else intact

    def controls(self, n_random: int) -> Iterator[_Control]:
        """In the order of the options; those that there can be of this region. Without an element of it all is as it
        was.
        """
        options = self.subject.options
        n = {"random": n_random, "magnitude": options.n_matched, "perplexity": options.n_matched}
        for condition in options.controls:
            seeds = range(options.seed, options.seed + n[condition]) if condition in n else [None]
            for seed in seeds:
                if not self.size:
                    if condition in ("random", "utility"):
                        yield _Control(condition, seed, self.intact)
                elif masks := self._masks(condition, self.key if seed is None else f"{seed}/{self.key}"):
                    yield _Control(condition, seed, self.subject.without(masks))

    def _masks(self, condition: str, key: str) -> Masks | None:
        """What a control takes out; None if there is no such control."""
        header, removed, magnitudes = self.subject.header, self.regions.removed, self.subject.magnitudes
        match condition:
            case "utility":
                return first_elements(self.regions.utility, header, self.size, key)
            case "harmless":
                return first_elements(self.regions.harmless[self.name], header, self.size, key)
            case "magnitude":
                return random_as_large(self.masks, header, removed, magnitudes, key) if magnitudes else None
            case "perplexity":
                return self._of_same_damage(key) if magnitudes else None
        return random_like(self.masks, header, removed, key)

    def _of_same_damage(self, key: str) -> Masks | None:
        """A random region that has grown, or shrunk, until it raises the perplexity as the real one does."""
        target, removed = self.region.evaluation.responses.perplexity, self.regions.removed
        if not math.isfinite(target):
            return None
        at = grown(self.masks, self.subject.header, removed, f"grown/{key}")
        largest = largest_factor(self.masks, self.subject.header, removed)
        perplexity_at = lambda factor: self.subject.perplexity_without(at(factor))  # noqa: E731
        return at(same_damage(target, self.intact.evaluation.responses.perplexity, perplexity_at, largest))


def _removes_more(intact: Found, region: Found, controls: list[_Control]) -> bool:
    others = [control.found for control in controls if control.condition == "random"]
    rate, at_first, *rates = (found.row()["refusal_rate"] for found in (region, intact, *others))
    return removes_more(at_first, rate, rates) and not region.evaluation.broken


def removes_more(intact: float, region: float, controls: Sequence[float]) -> bool:
    """Whether the refusal rate falls without the region, and by more than without any of its random controls.

    False if one of them is NaN.
    """
    return all(region < other for other in (intact, *controls))
