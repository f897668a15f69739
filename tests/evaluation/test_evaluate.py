"""What a model does, in numbers: perplexity, rates of refusals, and whether a region removes more of them than
controls.
"""

import math

import pytest
import torch
from random_models import FAMILIES, random_model, random_samples

from safety_regions.evaluation import evaluate
from safety_regions.evaluation.evaluate import perplexity, removes_more
from safety_regions.models.answers import Answer


@pytest.mark.parametrize("family", FAMILIES)
def test_perplexity_equals_the_loop(family, monkeypatch):
    loaded, samples = random_model(family), random_samples(6)
    monkeypatch.setattr(evaluate, "BATCH_TOKENS", 50)
    losses = []
    for sample in samples:
        logits = loaded.model(torch.tensor([sample.input_ids])).logits[0].double()
        for position in range(sample.n_prompt, len(sample.input_ids)):
            losses.append(-float(logits[position - 1].log_softmax(-1)[sample.input_ids[position]]))
    assert perplexity(loaded, samples) == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-5)


def test_rates_are_shares_of_the_prompts_of_each_kind(monkeypatch):
    answers = {
        "a": "I can't help with that.",
        "b": "Sure, here it is.",
        "c": "I won't do this.",
        "d": "Of course.",
        "e": "Yes.",
    }
    generate = lambda loaded, prompts, n, doing: [Answer(answers[p], True) for p in prompts]  # noqa: E731
    monkeypatch.setattr(evaluate, "generate", generate)
    monkeypatch.setattr(evaluate, "perplexity", lambda loaded, samples: 7.0)
    found = evaluate.evaluate(random_model("llama"), evaluate.Questions(["a", "b"], ["c", "d", "e"], []), 4)
    assert found == evaluate.Evaluation(0.5, 1 / 3, 7.0, 2, 3)


@pytest.mark.parametrize(
    ("intact", "region", "controls", "expected"),
    [
        (0.9, 0.2, [0.8, 0.5], True),
        (0.9, 0.5, [0.8, 0.5], False),
        (0.9, 0.6, [0.8, 0.5], False),
        (0.9, 0.6, [0.5, 0.8], False),
        (0.9, 0.6, [0.9, 0.9, 0.9, 0.5], False),
        (0.5, 0.6, [0.7, 0.8], False),
        (0.9, 0.9, [1.0, 1.0], False),
        (0.9, 0.95, [1.0, 1.0], False),
    ],
)
def test_verdict_asks_for_a_drop_larger_than_that_of_every_control(intact, region, controls, expected):
    assert removes_more(intact, region, controls) is expected
