"""SafeNeuron's importances belong to prompts: no batch, order, id or response shows in them."""

import pytest
import torch
from measured_neurons import assert_equal, measured, random_prompts
from random_models import FAMILIES, random_model

from safety_regions.config.methods import SafeNeuron
from safety_regions.errors import UserError
from safety_regions.methods import safeneuron
from safety_regions.methods.interface import Method
from safety_regions.methods.passes import measure_alone
from safety_regions.models.tokens import Sample, batches


@pytest.mark.parametrize("family", FAMILIES)
def test_batching_and_padding_do_not_change_importance(family):
    loaded, samples = random_model(family), random_prompts(8)
    assert (
        max(len(b) for b in batches([Sample(s.id, s.input_ids[: s.n_prompt], s.n_prompt) for s in samples], 160)) >= 4
    )
    one_by_one, together = measured(loaded, samples, 1), measured(loaded, samples, 160)
    for name, values in one_by_one.items():
        assert_equal(together[name], values)


def test_rows_are_in_the_order_of_samples_though_ids_repeat():
    loaded, samples = (
        random_model("llama"),
        [Sample("same", s.input_ids, s.n_prompt, s.content) for s in random_prompts(6)],
    )
    assert len({s.n_prompt for s in samples}) > 3
    together = measured(loaded, samples)
    for row, sample in enumerate(samples):
        for name, values in measured(loaded, [sample]).items():
            assert_equal(together[name][row], values[0])


def test_responses_are_not_looked_at():
    loaded, samples = random_model("qwen2"), random_prompts(5)
    other = [Sample(s.id, (*s.input_ids[: s.n_prompt], 7, 8, 9), s.n_prompt, s.content) for s in samples]
    first, second = measured(loaded, samples), measured(loaded, other)
    for name, values in first.items():
        assert_equal(second[name], values)


@pytest.mark.parametrize("family", FAMILIES)
def test_statistics_are_named_and_shaped_like_the_models_neurons(family):
    statistics = measured(random_model(family), random_prompts(3))
    shapes = {"q": (3, 32), "k": (3, 16), "v": (3, 16), "ffn": (3, 48)}
    assert {name: tuple(x.shape) for name, x in statistics.items()} == {
        f"{i}.{k}": s for i in (0, 1) for k, s in shapes.items()
    }
    assert list(statistics) == [f"{i}.{kind}" for i in (0, 1) for kind in ("q", "k", "v", "ffn")]
    assert all(x.dtype == torch.float32 and x.is_contiguous() and (x > 0).any() for x in statistics.values())
    assert len({x.untyped_storage().data_ptr() for x in statistics.values()}) == len(statistics)
    assert isinstance(safeneuron, Method)


def test_without_queries_and_keys_the_others_are_the_same_and_no_attention_is_listened_to(monkeypatch):
    loaded, samples = random_model("llama"), random_prompts(4)
    every = measured(loaded, samples)
    monkeypatch.setattr(safeneuron, "listening", None)
    some = safeneuron.observer(loaded, samples, SafeNeuron(), kinds=("v", "ffn"))
    found = measure_alone(loaded, samples, some, batch_tokens=1, doing="test")
    assert list(found) == [name for name in every if name.endswith(("v", "ffn"))]
    for name, values in found.items():
        assert_equal(values, every[name])


def test_importances_of_a_bfloat16_model_are_float32_and_near_the_exact_ones():
    loaded, samples = random_model("llama", dtype=torch.bfloat16), random_prompts(4)
    exact = random_model("llama")
    exact.model.load_state_dict({k: v.float() for k, v in loaded.model.state_dict().items()})
    expected = measured(exact, samples)
    for name, values in measured(loaded, samples).items():
        assert values.dtype == torch.float32
        assert torch.corrcoef(torch.stack([values.flatten(), expected[name].flatten()]))[0, 1] > 0.99


@pytest.mark.parametrize("samples, names", [([], "no samples"), ([Sample("odd", (5, 6), 0)], "odd")])
def test_nothing_to_measure_is_an_error(samples, names):
    with pytest.raises(UserError, match=names):
        measured(random_model("llama"), samples)


def test_text_that_is_not_found_in_the_prompt_is_an_error_where_it_alone_counts():
    loaded, samples = random_model("llama"), [Sample("odd", (5, 6, 7), 2)]
    with pytest.raises(UserError, match=r"(?s)own text cannot be found.*odd.*option tokens to prompt"):
        measured(loaded, samples)
    assert measured(loaded, samples, tokens="prompt")["0.ffn"].isfinite().all()


def test_tokens_of_the_template_count_for_nothing_whatever_they_are():
    """Behind the user's own text, where it does not see them."""
    loaded, samples = random_model("mistral"), random_prompts(4)
    ends = [[*s.input_ids[: s.content.stop], 30, 31, 32] for s in samples]
    other = [Sample(s.id, tuple(ids), len(ids), s.content) for s, ids in zip(samples, ends, strict=True)]
    first, second = measured(loaded, samples), measured(loaded, other)
    for name, values in first.items():
        assert_equal(second[name], values)
