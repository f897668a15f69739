"""What a model does: what becomes of harmful and harmless prompts, and how well it predicts ordinary responses."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from safety_regions.models.generate import generate
from safety_regions.models.load import LoadedModel
from safety_regions.models.outcomes import RATES, Outcome, outcome_of
from safety_regions.models.response_loss import ResponseLoss, response_loss
from safety_regions.models.tokens import Sample

FOUND = [*RATES, "perplexity", "broken", "n_harmful", "n_harmless"]
"""What a table says of an `Evaluation`."""
ASKED = ["asked", "asked_set", "id", "outcome"]
"""What a table says of a prompt: `harmful` or `harmless`, the set and row that it comes from, and what became of it."""


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

    def rates(self) -> dict[str, float | int | bool]:
        """By `FOUND`."""
        return dict(zip(FOUND, self._rates(), strict=True))

    def _rates(self) -> Iterator[float | int | bool]:
        for outcomes in (self.harmful, self.harmless):
            for outcome in (Outcome.REFUSES, Outcome.DEGENERATE, Outcome.ANSWERS):
                yield outcomes.count(outcome) / len(outcomes)
        yield from (self.responses.perplexity, self.broken, len(self.harmful), len(self.harmless))

    def prompts(self, questions: Questions) -> list[dict[str, str]]:
        """Every prompt by `ASKED`: harmful ones first."""
        asked = (("harmful", questions.harmful, self.harmful), ("harmless", questions.harmless, self.harmless))
        return [
            dict(zip(ASKED, (kind, prompt.set, prompt.id, str(outcome)), strict=True))
            for kind, prompts, outcomes in asked
            for prompt, outcome in zip(prompts, outcomes, strict=True)
        ]


def evaluate(
    loaded: LoadedModel,
    questions: Questions,
    max_new_tokens: int,
    doing: str = "evaluating",
    *,
    damaged: bool = False,
    responses: ResponseLoss | None = None,
) -> Evaluation:
    """Greedy answers of at most `max_new_tokens` tokens, judged by `outcome_of`; and the loss on the texts.

    `responses`: that loss, where it has been measured already. Raises `UserError` for logits that are not finite,
    unless the model is `damaged` on purpose: then it is broken.
    """
    prompts = [prompt.text for prompt in (*questions.harmful, *questions.harmless)]
    answers = generate(loaded, prompts, max_new_tokens, doing=doing, damaged=damaged)
    outcomes = [
        outcome_of(answer.text, prompt) if answer.finite else Outcome.DEGENERATE
        for answer, prompt in zip(answers, prompts, strict=True)
    ]
    if responses is None:
        responses = response_loss(loaded, questions.texts)
    return Evaluation(
        harmful=outcomes[: len(questions.harmful)],
        harmless=outcomes[len(questions.harmful) :],
        responses=responses,
        broken=not (math.isfinite(responses.perplexity) and all(answer.finite for answer in answers)),
    )
