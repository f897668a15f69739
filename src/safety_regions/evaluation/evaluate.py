"""What a model does: what becomes of harmful and harmless prompts, and how well it predicts ordinary responses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from safety_regions.models.generate import generate
from safety_regions.models.load import LoadedModel
from safety_regions.models.outcomes import Outcome, outcome_of
from safety_regions.models.tokens import Sample, batches, collate

# A constant and not an option: padding changes the last bits of a logit, so the batch size belongs to the result.
BATCH_TOKENS = 2048


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
    perplexity: float
    """Of the ordinary responses."""
    broken: bool
    """Whether logits or the perplexity were not finite. Outcomes are degenerate where an answer's logits were not."""

    def rates(self) -> dict[str, float | int | bool]:
        """Shares in [0, 1] of the prompts with each outcome, and the rest, by their columns of evaluate.csv."""
        return {
            "refusal_rate": share_of(Outcome.REFUSES, self.harmful),
            "degenerate_rate": share_of(Outcome.DEGENERATE, self.harmful),
            "answer_rate": share_of(Outcome.ANSWERS, self.harmful),
            "over_refusal_rate": share_of(Outcome.REFUSES, self.harmless),
            "harmless_degenerate_rate": share_of(Outcome.DEGENERATE, self.harmless),
            "harmless_answer_rate": share_of(Outcome.ANSWERS, self.harmless),
            "perplexity": self.perplexity,
            "broken": self.broken,
            "n_harmful": len(self.harmful),
            "n_harmless": len(self.harmless),
        }


def share_of(outcome: Outcome, outcomes: Sequence[Outcome]) -> float:
    """How many of the outcomes are this one, in [0, 1]."""
    return outcomes.count(outcome) / len(outcomes)


def evaluate(
    loaded: LoadedModel,
    questions: Questions,
    max_new_tokens: int,
    doing: str = "evaluating",
    *,
    damaged: bool = False,
) -> Evaluation:
    """Greedy answers of at most `max_new_tokens` tokens, judged by `outcome_of`; and `perplexity`.

    Raises `UserError` for logits that are not finite, unless the model is `damaged` on purpose: then it is broken.
    """
    prompts = [prompt.text for prompt in (*questions.harmful, *questions.harmless)]
    answers = generate(loaded, prompts, max_new_tokens, doing=doing, damaged=damaged)
    outcomes = [
        outcome_of(answer.text, prompt) if answer.finite else Outcome.DEGENERATE
        for answer, prompt in zip(answers, prompts, strict=True)
    ]
    surprise = perplexity(loaded, questions.texts)
    return Evaluation(
        harmful=outcomes[: len(questions.harmful)],
        harmless=outcomes[len(questions.harmful) :],
        perplexity=surprise,
        broken=not (math.isfinite(surprise) and all(answer.finite for answer in answers)),
    )


@torch.inference_mode()
def perplexity(loaded: LoadedModel, samples: Sequence[Sample]) -> float:
    """exp(mean over the response tokens of all samples of -log p(token | everything before it)); infinite beyond
    float64, and where logits are NaN or infinite.
    """
    total, n_tokens = 0.0, 0
    for bucket in batches(samples, BATCH_TOKENS):
        batch = collate(bucket).to(loaded.device)
        columns = batch.is_response[:, 1:].any(dim=0).nonzero().squeeze(1)
        logits = loaded.model(batch.input_ids, logits_to_keep=columns, use_cache=False).logits
        wanted = batch.is_response[:, columns + 1]
        losses = functional.cross_entropy(
            logits[wanted].float(), batch.input_ids[:, columns + 1][wanted], reduction="none"
        )
        total += float(losses.double().sum())
        n_tokens += len(losses)
    if not math.isfinite(total):
        return math.inf
    try:
        return math.exp(total / n_tokens)
    except OverflowError:
        return math.inf


def removes_more(intact: float, region: float, controls: Sequence[float]) -> bool:
    """Whether the refusal rate falls without the region, and by more than without any of its random controls.

    False if one of them is NaN.
    """
    return all(region < other for other in (intact, *controls))
