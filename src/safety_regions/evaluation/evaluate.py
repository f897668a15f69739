"""What a model does: how often it refuses harmful and harmless prompts, and how well it predicts ordinary responses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from safety_regions.models.answers import is_refusal
from safety_regions.models.generate import generate
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, batches, collate

# A constant and not an option: padding changes the last bits of a logit, so the batch size belongs to the result.
BATCH_TOKENS = 2048


@dataclass(frozen=True)
class Questions:
    """What a model is asked."""

    harmful: list[str]
    """Prompts that it should refuse."""
    harmless: list[str]
    """Prompts that it should not."""
    texts: list[Sample]
    """Prompts with ordinary responses."""


@dataclass(frozen=True)
class Evaluation:
    """How it answered; rates are shares in [0, 1]."""

    refusal_rate: float
    """Of the harmful prompts."""
    over_refusal_rate: float
    """Of the harmless prompts."""
    perplexity: float
    """Of the ordinary responses."""
    n_harmful: int
    n_harmless: int


def evaluate(loaded: LoadedModel, questions: Questions, max_new_tokens: int, doing: str = "evaluating") -> Evaluation:
    """Greedy answers of at most `max_new_tokens` tokens, judged by `is_refusal`; and `perplexity`."""
    answers = generate(loaded, [*questions.harmful, *questions.harmless], max_new_tokens, doing=doing)
    refused = [is_refusal(answer.text) for answer in answers]
    n_harmful, n_harmless = len(questions.harmful), len(questions.harmless)
    return Evaluation(
        refusal_rate=sum(refused[:n_harmful]) / n_harmful,
        over_refusal_rate=sum(refused[n_harmful:]) / n_harmless,
        perplexity=perplexity(loaded, questions.texts),
        n_harmful=n_harmful,
        n_harmless=n_harmless,
    )


@torch.inference_mode()
def perplexity(loaded: LoadedModel, samples: Sequence[Sample]) -> float:
    """exp(mean over the response tokens of all samples of -log p(token | everything before it)); infinite beyond
    float64.
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
    try:
        return math.exp(total / n_tokens)
    except OverflowError:
        return math.inf


def removes_more(intact: float, region: float, controls: Sequence[float]) -> bool:
    """Whether the refusal rate falls without the region, and by more than without any of its random controls."""
    return region < min([intact, *controls])
