"""The training loop."""

from collections import Counter
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_models import FAMILIES, random_model, random_samples

from safety_regions.models.tokens import collate
from safety_regions.models.training import Schedule, _draws, mean_token_loss, reproducible, train


def literal_loss(model, samples) -> torch.Tensor:
    """Mean of -log p over response tokens, one sample and one token at a time."""
    terms = []
    for sample in samples:
        ids = torch.tensor([sample.input_ids])
        log_p = model(input_ids=ids).logits[0].log_softmax(-1)
        terms += [-log_p[t - 1, ids[0, t]] for t in range(sample.n_prompt, ids.shape[1])]
    return torch.stack(terms).mean()


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_of_a_batch_is_the_mean_over_single_response_tokens(family):
    model = random_model(family).model
    for seed in range(3):
        samples = random_samples(5, seed)
        torch.testing.assert_close(mean_token_loss(model, collate(samples)), literal_loss(model, samples))


@given(steps=st.integers(1, 400), rate=st.floats(1e-6, 1))
def test_learning_rate_stays_positive_and_peaks_after_the_warmup(steps, rate):
    schedule = Schedule(rate, steps, 8, 0)
    rates = [schedule.rate(step) for step in range(steps)]
    assert all(0 < r <= rate * (1 + 1e-9) for r in rates)
    assert max(rates) == pytest.approx(rate)
    assert rates == sorted(rates[: rates.index(max(rates))]) + sorted(rates[rates.index(max(rates)) :], reverse=True)


@given(n=st.integers(1, 50), size=st.integers(1, 20), seed=st.integers(0, 5))
def test_every_sample_is_drawn_equally_often(n, size, seed):
    drawn = [i for rows in islice(_draws(n, Schedule(0.1, 1, size, seed)), 12) for i in rows]
    counts = Counter(drawn)
    assert len(drawn) == 12 * size
    assert max(counts[i] for i in range(n)) - min(counts[i] for i in range(n)) <= 1


def test_training_learns_the_responses_and_leaves_frozen_weights_alone():
    model = random_model("llama").model
    frozen = model.model.layers[0].self_attn.q_proj.weight
    before = frozen.clone()
    model.requires_grad_(True)
    frozen.requires_grad_(False)
    losses = train(model, random_samples(4), Schedule(1e-2, 40, 4, 0), "test")
    assert losses[-1] < 0.1 * losses[0]
    assert torch.equal(frozen, before)
    assert not model.training


def test_reproducible_repeats_and_restores_the_state_around_it():
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    draws = []
    for _ in range(2):
        with reproducible(3):
            assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()
            draws.append(torch.rand(4))
    assert torch.equal(*draws)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (threads, deterministic)
