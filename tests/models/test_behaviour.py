"""What a model does, in numbers: what becomes of prompts, and how well it continues responses."""

import math

import pytest
from random_models import random_model, random_samples

from safety_regions.errors import UserError
from safety_regions.models import behaviour
from safety_regions.models.answers import Answer
from safety_regions.models.behaviour import Prompt
from safety_regions.models.outcomes import Outcome
from safety_regions.models.response_loss import ResponseLoss

REFUSES, ANSWERS, DEGENERATE = Outcome


def test_rates_are_shares_of_the_prompts_of_each_kind(monkeypatch):
    answers = {
        "a": Answer("I can't help with that.", True),
        "b": Answer("Sure, here it is.", True),
        "c": Answer("I won't do this.", True),
        "d": Answer("Of course.", True),
        "e": Answer("I.S.S.S.S.", True),
        "f": Answer("Sure, but by chance.", True, finite=False),
    }
    generate = lambda loaded, prompts, n, doing, damaged: [answers[p] for p in prompts]  # noqa: E731
    monkeypatch.setattr(behaviour, "generate", generate)
    losses = ResponseLoss(math.log(7), 0.5)
    monkeypatch.setattr(behaviour, "response_loss", lambda loaded, samples: losses)
    ask = lambda names: [Prompt("set", name, name) for name in names]  # noqa: E731
    questions = behaviour.Questions(ask("ab"), ask("cde"), [])
    found = behaviour.evaluate(random_model("llama"), questions, 4)
    assert found == behaviour.Evaluation([REFUSES, ANSWERS], [REFUSES, ANSWERS, DEGENERATE], losses, broken=False)
    assert found.rates() == pytest.approx(
        {
            "refusal_rate": 0.5,
            "degenerate_rate": 0.0,
            "answer_rate": 0.5,
            "over_refusal_rate": 1 / 3,
            "harmless_degenerate_rate": 1 / 3,
            "harmless_answer_rate": 1 / 3,
            "perplexity": 7.0,
            "broken": False,
            "n_harmful": 2,
            "n_harmless": 3,
        }
    )
    assert found.prompts(questions) == [
        {"asked": "harmful", "asked_set": "set", "id": "a", "outcome": "refuses"},
        {"asked": "harmful", "asked_set": "set", "id": "b", "outcome": "answers"},
        {"asked": "harmless", "asked_set": "set", "id": "c", "outcome": "refuses"},
        {"asked": "harmless", "asked_set": "set", "id": "d", "outcome": "answers"},
        {"asked": "harmless", "asked_set": "set", "id": "e", "outcome": "degenerate"},
    ]
    broken = behaviour.evaluate(random_model("llama"), behaviour.Questions(ask("f"), ask("a"), []), 4, damaged=True)
    assert broken == behaviour.Evaluation([DEGENERATE], [REFUSES], losses, broken=True)


def test_a_model_whose_logits_are_not_finite_is_an_error_unless_it_was_damaged():
    loaded = random_model("llama")
    loaded.model.lm_head.weight.data[3] = float("nan")
    questions = behaviour.Questions([Prompt("s", "a", "a")], [Prompt("s", "b", "b")], random_samples(2))
    with pytest.raises(UserError, match="NaN or infinite"):
        behaviour.evaluate(loaded, questions, 3)
    found = behaviour.evaluate(loaded, questions, 3, damaged=True)
    assert (found.harmful, found.harmless, found.broken) == ([DEGENERATE], [DEGENERATE], True)
    assert math.isnan(found.responses.loss) and found.responses.perplexity == math.inf


def test_a_loss_that_is_known_is_not_measured_again(monkeypatch):
    monkeypatch.setattr(behaviour, "response_loss", lambda *_: pytest.fail("measured"))
    prompts, losses = [Prompt("s", "a", "a")], ResponseLoss(1.0, 0.5)
    questions = behaviour.Questions(prompts, prompts, random_samples(2))
    assert behaviour.evaluate(random_model("llama"), questions, 2, responses=losses).responses is losses
