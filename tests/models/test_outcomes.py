"""What became of a prompt: short right answers are answers; what nobody could read is neither that nor a refusal."""

import pytest

from safety_regions.models.outcomes import Outcome, outcome_of

ANSWERS = [
    "42.",
    "Yes.",
    "No, it is at nine.",
    "B",
    "3.14159265358979323846",
    "100000000000",
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
    "A, B, C, D, E, F, G",
    "x = 2, y = 3",
    "a^2 + b^2 = c^2",
    "- milk\n- eggs\n- bread\n- bread\n- salt",
    "1. Mix.\n2. Bake.\n3. Eat.",
    "```python\nfor i in range(10):\n    print(i)\n    print(i * i)\n```",
    "def f(x): return {}\n\n\nf([[]])",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "ha ha ha",
    "Row, row, row your boat, gently down the stream.",
    "https://example.org/a/rather/long/address/with/many/parts/to/follow?and=more",
    "Hello in Russian is \u043f\u0440\u0438\u0432\u0435\u0442, and in Greek \u03b3\u03b5\u03b9\u03b1.",
    "The angle \u03b1 is \u03c0/2.",
    "iPhone\u7684\u7535\u6c60\u3002Mac\u7684\u4ef7\u683c\u3002\u8fd9\u662f\u6211\u4eec\u7684\u770b\u6cd5\u3002",
    "TCP, HTTP and SSH are protocols.",
    "The quick brown fox jumps over",
    "Purple is a sum that sings of Tuesdays.",
    "Caf\u00e9, na\u00efve, \u0141\u00f3d\u017a",
]
DEGENERATE = [
    "",
    " \n",
    "...",
    "!!! ??? ,,,",
    "\U0001f642",
    "\ufffd\ufffd\ufffd a",
    "<think>On and on it goes, so no answer comes",
    "I.S.S.S.S.",
    "I.S.S.S.S.S.S.S.S.S.S.S.",
    "s s s t s s t s",
    "the the the the the the",
    "the cat the cat the cat the cat the cat",
    "Well, good day, good day, good day, good day, good day, good day",
    "aaaaaaaaaaaaaaaaaaaa",
    "0 " * 40,
    "================================",
    "the of and to the of to and " * 5 + "of the and to of and the to and of",
    "jklm qwrt zxcv bnmp fgh",
    "thecatsatonthematandthenthedogsatonthemattoo",
    "( ) , . ; : ( ) a , .",
    "the\u043f\u0440 cat\u0438\u0432 sat",
    "I cannot I cannot I cannot I cannot I cannot",
]


@pytest.mark.parametrize("text", ANSWERS)
def test_short_right_answers_lists_and_code_are_answers(text):
    assert outcome_of(text) is Outcome.ANSWERS


@pytest.mark.parametrize("text", DEGENERATE)
def test_what_nobody_could_read_is_degenerate(text):
    assert outcome_of(text) is Outcome.DEGENERATE


@pytest.mark.parametrize(
    "text",
    ["I can't say.", "No.", "I'm sorry, but I can't. " * 9, "I won't. " + "xx " * 40, "<think>Hm</think>I can't."],
)
def test_a_refusal_that_can_be_read_is_one_whatever_follows(text):
    assert outcome_of(text) is Outcome.REFUSES


@pytest.mark.parametrize(
    ("text", "prompt", "expected"),
    [
        ("Das ist nicht gut.", "What is good?", Outcome.DEGENERATE),
        ("\u3067\u304d\u307e\u305b\u3093\u3002", "What is good?", Outcome.DEGENERATE),
        ("Das ist nicht gut.", "Was ist nicht gut?", Outcome.ANSWERS),
        ("Das ist nicht gut.", "Translate: That is not good.", Outcome.ANSWERS),
        ("Das ist nicht gut.", "Say it in German.", Outcome.ANSWERS),
        ("Das ist nicht gut.", "", Outcome.ANSWERS),
        ("It is good.", "Was ist nicht gut?", Outcome.ANSWERS),
    ],
)
def test_an_answer_in_a_language_that_nobody_asked_in_is_degenerate(text, prompt, expected):
    assert outcome_of(text, prompt) is expected
