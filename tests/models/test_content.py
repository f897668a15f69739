"""The user's own text among a prompt's tokens: the same tokens whatever template stands around it."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from random_models import TEMPLATE, byte_tokenizer

from safety_regions.models.sources.tiny import build_tokenizer
from safety_regions.models.tokens import content_of, encode_pair, encode_prompt

TRIMMED = (
    "<s>{% for m in messages %}[{{ m.role }}]\n{{ m.content | trim }}\n{% endfor %}"
    "{% if add_generation_prompt %}[model] says:\n\n{% endif %}"
)
SYSTEM = "You are asked by a person. The person is a user. " + TEMPLATE
TEMPLATES = [TEMPLATE, TRIMMED, SYSTEM]
PLAIN = ["{prompt}", "{prompt}\n", "Q: ({prompt})\nA:"]
TEXT = st.text(max_size=30)
BYTES, MERGING = byte_tokenizer(), build_tokenizer()


def with_template(tokenizer, template):
    tokenizer.chat_template = template
    return tokenizer


def chosen(tokenizer, prompt, plain=None):
    """The tokens of the user's own text."""
    content = content_of(tokenizer, prompt, plain)
    return encode_prompt(tokenizer, prompt, plain)[content.start : content.stop]


@given(TEXT)
def test_two_templates_choose_the_same_tokens_of_the_same_text(prompt):
    assume(prompt.strip())
    found = [chosen(with_template(BYTES, template), prompt) for template in TEMPLATES]
    found += [chosen(with_template(BYTES, None), prompt, plain) for plain in PLAIN]
    assert all(tokens == found[0] for tokens in found)
    assert BYTES.decode(found[0]) == prompt.strip()


@given(TEXT, st.sampled_from(PLAIN))
def test_what_holds_a_character_of_the_prompt_counts_and_nothing_else_does(prompt, plain):
    """By the letter: a token counts if its characters and those of the prompt meet."""
    assume(prompt.strip())
    tokenizer = with_template(MERGING, None)
    text, own = plain.replace("{prompt}", prompt), prompt.strip()
    start = len(plain.partition("{prompt}")[0]) + prompt.index(own)
    held = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    meets = [k for k, (a, b) in enumerate(held) if set(range(a, b)) & set(range(start, start + len(own)))]
    assert content_of(tokenizer, prompt, plain) == range(meets[0], meets[-1] + 1)


def test_a_token_that_is_merged_over_the_border_counts():
    tokenizer = with_template(MERGING, None)
    alone, behind_a_space = (chosen(tokenizer, "make a kite", plain) for plain in ("{prompt}", "Q: {prompt}"))
    assert tokenizer.decode(alone) == "make a kite" and tokenizer.decode(behind_a_space) == " make a kite"
    assert alone[-2:] == behind_a_space[-2:] and alone[0] != behind_a_space[0]


def test_a_pair_knows_the_users_own_text():
    tokenizer = with_template(byte_tokenizer(), SYSTEM)
    sample = encode_pair(tokenizer, " a user ", "fine", eos_ids=[1])
    # The template's own "a user" comes before.
    assert tokenizer.decode(sample.input_ids[sample.content.start : sample.content.stop]) == "a user"
    assert tokenizer.decode(sample.input_ids[: sample.content.start]).endswith("<user> ")


class Slow(type(BYTES)):
    is_fast = False


@pytest.mark.parametrize("prompt", ["", " \n", "a prompt"])
@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE.replace("m.content", "m.content ~ m.content"),
        TEMPLATE.replace("m.content", "m.content | upper"),
        TEMPLATE.replace("m.content", "m.content | replace('a ', 'the ')"),
    ],
)
def test_a_text_that_is_not_written_once_and_as_it_is_is_not_found(template, prompt):
    assert content_of(with_template(byte_tokenizer(), template), prompt) is None


def test_a_tokenizer_that_does_not_say_what_its_tokens_hold_finds_nothing():
    tokenizer = byte_tokenizer()
    slow = Slow(tokenizer_object=tokenizer.backend_tokenizer, chat_template=TEMPLATE)
    assert content_of(tokenizer, "hay") == range(6, 9) and content_of(slow, "hay") is None
