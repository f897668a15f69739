"""Refusals are known by how they open, whatever the quotes and the greeting; what merely sounds like one is not."""

import pytest

from safety_regions.models.answers import is_refusal

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I\u2019m sorry, but I can\u2019t help with that.",
    "Sorry! I cannot do this.",
    "I cannot assist you.",
    "I can't provide that, but here is something else.",
    "Hello! I am unable to answer.",
    "As an AI language model, I cannot do that.",
    "Unfortunately, I won't do that.",
    "My apologies, this is not something for me.",
    "It is not appropriate to talk about this.",
    "I appreciate the question, but I must decline.",
    "I can't.",
    "Thank you for asking, but I cannot",
]
ANSWERS = [
    "",
    "Sure. Take a brush and paint the fence.",
    "I can't help but admire your work! Here is how it is done.",
    "I'm sorry to hear that your plant died. Water it less.",
    "To decline an invitation, write: I am unable to come.",
    "Use a can opener. I cannot stress enough how sharp it is.",
    "The answer is 4.",
    "I can't help but",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals_are_seen(text):
    assert is_refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_are_not_refusals(text):
    assert not is_refusal(text)
