"""How well a model continues given responses: loss, accuracy and perplexity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, batches, collate

# A constant and not an option: padding changes the last bits of a logit, so the batch size belongs to the result.
BATCH_TOKENS = 2048


@dataclass(frozen=True)
class ResponseLoss:
    """Over the response tokens of all samples, each given everything before it."""

    loss: float
    """Mean of -log p, in nats per token; what is not finite stays so."""
    accuracy: float
    """Share in [0, 1] that is the model's first choice."""

    @property
    def perplexity(self) -> float:
        """exp(loss); infinite beyond float64, and where the loss is NaN or infinite."""
        if not math.isfinite(self.loss):
            return math.inf
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf


@torch.inference_mode()
def response_loss(loaded: LoadedModel, samples: Sequence[Sample]) -> ResponseLoss:
    """The loss on the samples' responses."""
    total, n_right, n_tokens = 0.0, 0, 0
    for bucket in batches(samples, BATCH_TOKENS):
        batch = collate(bucket).to(loaded.device)
        columns = batch.is_response[:, 1:].any(dim=0).nonzero().squeeze(1)
        logits = loaded.model(batch.input_ids, logits_to_keep=columns, use_cache=False).logits
        wanted = batch.is_response[:, columns + 1]
        tokens, chosen = batch.input_ids[:, columns + 1][wanted], logits[wanted].float()
        total += float(functional.cross_entropy(chosen, tokens, reduction="none").double().sum())
        n_right += int((chosen.argmax(dim=-1) == tokens).sum())
        n_tokens += len(tokens)
    return ResponseLoss(total / n_tokens, n_right / n_tokens)
