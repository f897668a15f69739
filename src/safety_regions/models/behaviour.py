"""What a model does: what becomes of harmful and harmless prompts, and how well it predicts ordinary responses."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from safety_regions.models.answers import Answer
from safety_regions.models.generate import generate
from safety_regions.models.judge import Judge
from safety_regions.models.load import LoadedModel
from safety_regions.models.outcomes import BY_PATTERNS, RATES, Outcome, outcome_of
from safety_regions.models.response_loss import ResponseLoss, response_loss
from safety_regions.models.tokens import Sample

FOUND = [*RATES, "perplexity", "broken", "n_harmful", "n_harmless"]
"""What a table says of an `Evaluation`."""
ASKED = ["asked", "asked_set", "id", "outcome"]
"""What a table says of a prompt: `harmful` or `harmless`, the set and row that it comes from, and what became of it."""


def with_patterns(columns: Sequence[str], rows: Sequence[dict]) -> list[str]:
    """The columns of a table of prompts, and `BY_PATTERNS` where a judge told."""
    return [*columns, *([BY_PATTERNS] if any(BY_PATTERNS in row for row in rows) else [])]


@dataclass(frozen=True)
class Prompt:
    """A prompt, and the row that it comes from."""

    set: str
    id: str
    text: str


@dataclass(frozen=True)
class Questions:
    """What a model is asked."""

    harmful: list[Prompt]
    """What it should refuse."""
    harmless: list[Prompt]
    """What it should not."""
    texts: list[Sample]
    """Prompts with ordinary responses."""


@dataclass(frozen=True)
class Evaluation:
    """What became of the prompts, in their order."""

    harmful: list[Outcome]
    harmless: list[Outcome]
    responses: ResponseLoss
    """Of the ordinary responses."""
    broken: bool
    """Whether logits or the perplexity were not finite. Outcomes are degenerate where an answer's logits were not."""
    by_patterns: list[Outcome] | None = None
    """What patterns say of the same prompts, harmful ones first, where a judge told the outcomes."""

    def rates(self) -> dict[str, float | int | bool]:
        """By `FOUND`."""
        return dict(zip(FOUND, self._rates(), strict=True))

    def _rates(self) -> Iterator[float | int | bool]:
        for outcomes in (self.harmful, self.harmless):
            for outcome in (Outcome.REFUSES, Outcome.DEGENERATE, Outcome.ANSWERS):
                yield outcomes.count(outcome) / len(outcomes)
        yield from (self.responses.perplexity, self.broken, len(self.harmful), len(self.harmless))

    def prompts(self, questions: Questions) -> list[dict[str, str]]:
        """Every prompt by `ASKED`, and by `BY_PATTERNS` where a judge told: harmful ones first."""
        asked = (("harmful", questions.harmful, self.harmful), ("harmless", questions.harmless, self.harmless))
        rows = [
            dict(zip(ASKED, (kind, prompt.set, prompt.id, str(outcome)), strict=True))
            for kind, prompts, outcomes in asked
            for prompt, outcome in zip(prompts, outcomes, strict=True)
        ]
        if self.by_patterns is None:
            return rows
        return [{**row, BY_PATTERNS: str(outcome)} for row, outcome in zip(rows, self.by_patterns, strict=True)]


def evaluate(
    loaded: LoadedModel,
    questions: Questions,
    max_new_tokens: int,
    doing: str = "evaluating",
    *,
    damaged: bool = False,
    responses: ResponseLoss | None = None,
    judge: Judge | None = None,
) -> Evaluation:
    """Greedy answers of at most `max_new_tokens` tokens, judged by `outcome_of` or by `judge`; and the loss on the
    texts.

    A judge without a class of degenerate answers has those that `outcome_of` tells. `responses`: that loss, where it
    has been measured already. Raises `UserError` for logits that are not finite, unless the model is `damaged` on
    purpose: then it is broken.
    """
    prompts = [prompt.text for prompt in (*questions.harmful, *questions.harmless)]
    answers = generate(loaded, prompts, max_new_tokens, doing=doing, damaged=damaged)
    outcomes = [
        outcome_of(answer.text, prompt) if answer.finite else Outcome.DEGENERATE
        for answer, prompt in zip(answers, prompts, strict=True)
    ]
    by_patterns = None
    if judge is not None:
        by_patterns, told = outcomes, judge.tell([answer.text for answer in answers], prompts)
        outcomes = [
            of_patterns if _stays(of_patterns, answer, judge) else of_judge
            for of_patterns, answer, of_judge in zip(by_patterns, answers, told, strict=True)
        ]
    if responses is None:
        responses = response_loss(loaded, questions.texts)
    return Evaluation(
        harmful=outcomes[: len(questions.harmful)],
        harmless=outcomes[len(questions.harmful) :],
        responses=responses,
        broken=not (math.isfinite(responses.perplexity) and all(answer.finite for answer in answers)),
        by_patterns=by_patterns,
    )


def _stays(outcome: Outcome, answer: Answer, judge: Judge) -> bool:
    """Whether an answer is degenerate whatever the judge says."""
    return not answer.finite or (outcome is Outcome.DEGENERATE and not judge.tells_degenerate)
