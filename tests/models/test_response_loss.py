"""How well a model continues responses, against a loop over their tokens."""

import math

import pytest
import torch
from random_models import FAMILIES, random_model, random_samples

from safety_regions.models import response_loss
from safety_regions.models.response_loss import ResponseLoss


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_accuracy_equal_the_loop(family, monkeypatch):
    loaded, samples = random_model(family), random_samples(6)
    monkeypatch.setattr(response_loss, "BATCH_TOKENS", 50)
    losses, right = [], []
    for sample in samples:
        logits = loaded.model(torch.tensor([sample.input_ids])).logits[0].double()
        for position in range(sample.n_prompt, len(sample.input_ids)):
            losses.append(-float(logits[position - 1].log_softmax(-1)[sample.input_ids[position]]))
            right.append(int(logits[position - 1].argmax()) == sample.input_ids[position])
    found = response_loss.response_loss(loaded, samples)
    assert found.loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert found.accuracy == sum(right) / len(right)
    assert found.perplexity == pytest.approx(math.exp(found.loss))


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1000.0])
def test_a_loss_that_no_perplexity_can_tell_is_infinite(loss):
    assert ResponseLoss(loss, 0.0).perplexity == math.inf
