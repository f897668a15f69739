"""Samples: the prompt's tokens are those that generation sees, the rest is the response and its end."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_models import byte_tokenizer, random_model, random_samples

from safety_regions.errors import UserError
from safety_regions.models.generate import generate
from safety_regions.models.tokens import batches, collate, encode_pair, encode_prompt

TOKENIZER = byte_tokenizer()
TEXT = st.text(max_size=30).map(str.strip)


@given(TEXT, TEXT, st.booleans())
def test_a_pair_is_prompt_response_and_end(prompt, response, finished):
    sample = encode_pair(TOKENIZER, prompt, response, eos_ids=[1], finished=finished)
    before, after = sample.input_ids[: sample.n_prompt], sample.input_ids[sample.n_prompt :]
    assert list(before) == encode_prompt(TOKENIZER, prompt)
    assert (after[-1:] == (1,)) is finished or not after
    assert TOKENIZER.decode([t for t in after if t != 1]) == response


def test_a_model_without_template_needs_a_plain_one():
    plain = byte_tokenizer()
    plain.chat_template = None
    with pytest.raises(UserError, match=r"(?s)no chat template.*plain_template"):
        encode_prompt(plain, "hello")
    sample = encode_pair(plain, "hello", "world", eos_ids=[1], plain_template="Q: {prompt}\nA: ")
    assert plain.decode(sample.input_ids) == "Q: hello\nA: world<eos>"


def test_a_template_with_todays_date_gives_the_same_tokens_every_day():
    dated = byte_tokenizer()
    dated.chat_template = "{{ strftime_now('%Y-%m-%d') }}" + dated.chat_template
    assert "01 Jan 2025" in dated.decode(encode_prompt(dated, "hello"))


@given(st.integers(0, 30), st.integers(1, 100), st.integers(0, 5))
def test_every_sample_is_in_one_bucket_within_the_budget(n, max_tokens, seed):
    samples = random_samples(n, seed)
    buckets = batches(samples, max_tokens)
    assert sorted(s.id for bucket in buckets for s in bucket) == sorted(s.id for s in samples)
    for bucket in buckets:
        assert len(bucket) == 1 or len(bucket) * max(len(s.input_ids) for s in bucket) <= max_tokens
    assert buckets == batches(samples[::-1], max_tokens)


def test_collate_marks_response_positions_only():
    samples = random_samples(5)
    batch = collate(samples)
    for row, sample in enumerate(samples):
        length = len(sample.input_ids)
        assert tuple(batch.input_ids[row, :length].tolist()) == sample.input_ids
        assert batch.is_response[row].nonzero().squeeze(1).tolist() == list(range(sample.n_prompt, length))


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_batched_answers_equal_one_by_one(family):
    loaded = random_model(family)
    prompts = [f"{'word ' * (i % 5)}question {i}" for i in range(7)]
    batched = generate(loaded, prompts, max_new_tokens=8, batch_size=4)
    assert batched == [generate(loaded, [p], max_new_tokens=8)[0] for p in prompts]


def test_the_output_matrix_is_given_no_slice():
    """Of a slice torch copies the matrix once for each prompt."""
    loaded = random_model("qwen2")
    head, whole = loaded.model.lm_head, []
    head.register_forward_hook(lambda _, states, __: whole.append(states[0].is_contiguous()))
    generate(loaded, ["hello", "hello again"], max_new_tokens=3)
    assert len(whole) >= 2 and all(whole)
    assert not head._forward_pre_hooks


def test_greedy_answers_ignore_the_models_own_generation_defaults():
    loaded = random_model("llama")
    plain = generate(loaded, ["hello", "hi"], max_new_tokens=8)
    loaded.model.generation_config.repetition_penalty = 3.0
    loaded.model.generation_config.min_new_tokens = 20
    assert generate(loaded, ["hello", "hi"], max_new_tokens=8) == plain
    assert loaded.model.generation_config.repetition_penalty == 3.0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_no_answer(value):
    """Whatever token comes out: argmax of NaN is a token like any other."""
    loaded = random_model("llama")
    loaded.model.config._name_or_path = "some/model"
    loaded.model.lm_head.weight.data[3] = value
    with pytest.raises(UserError, match="logits are NaN or infinite") as raised:
        generate(loaded, ["hello"], max_new_tokens=3)
    assert "some/model, prompt 'hello'" in str(raised.value)
    (answer,) = generate(loaded, ["hello"], max_new_tokens=3, damaged=True)
    assert not answer.finite


def test_of_a_batch_the_prompt_with_bad_logits_is_named():
    loaded = random_model("llama")
    (bad,) = set(encode_prompt(loaded.tokenizer, "x")) - set(encode_prompt(loaded.tokenizer, "y"))
    loaded.model.lm_head.weight = torch.nn.Parameter(loaded.model.lm_head.weight.detach().clone())
    loaded.model.get_input_embeddings().weight.data[bad] = float("nan")
    with pytest.raises(UserError, match="prompt 'x'"):
        generate(loaded, ["y", "x", "yy"], max_new_tokens=3)
    answers = generate(loaded, ["y", "x", "yy"], max_new_tokens=3, damaged=True)
    assert [answer.finite for answer in answers] == [True, False, True]


def test_an_answer_that_reaches_its_end_token_is_finished():
    loaded = random_model("llama")
    (cut,) = generate(loaded, ["hello"], max_new_tokens=3)
    assert not cut.finished
    first = encode_prompt(loaded.tokenizer, "hello")
    with torch.inference_mode():
        favourite = int(loaded.model(torch.tensor([first])).logits[0, -1].argmax())
    (ended,) = generate(replace(loaded, eos_ids=(1, favourite)), ["hello"], max_new_tokens=3)
    assert ended.finished and ended.text == ""
