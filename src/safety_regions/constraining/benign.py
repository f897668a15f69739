"""How far a benign task is learned: loss and accuracy on held-out responses."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, batches, collate

# A constant and not an option: padding changes the last bits of a logit, so the batch size belongs to the result.
BATCH_TOKENS = 2048


@dataclass(frozen=True)
class Benign:
    """Of the response tokens of held-out pairs, given everything before them."""

    loss: float
    """Mean of -log p, in nats per token."""
    accuracy: float
    """Share in [0, 1] that is the model's first choice."""


@torch.no_grad()
def benign(loaded: LoadedModel, samples: Sequence[Sample]) -> Benign:
    """How well the model continues the samples' responses. What is not finite stays so."""
    total, right, n_tokens = 0.0, 0, 0
    for bucket in batches(samples, BATCH_TOKENS):
        batch = collate(bucket).to(loaded.device)
        columns = batch.is_response[:, 1:].any(dim=0).nonzero().squeeze(1)
        logits = loaded.model(batch.input_ids, logits_to_keep=columns, use_cache=False).logits
        wanted = batch.is_response[:, columns + 1]
        tokens, chosen = batch.input_ids[:, columns + 1][wanted], logits[wanted].float()
        total += float(functional.cross_entropy(chosen, tokens, reduction="none").double().sum())
        right += int((chosen.argmax(dim=-1) == tokens).sum())
        n_tokens += len(tokens)
    return Benign(total / n_tokens, right / n_tokens)
