"""Attention without a channel: tiny changes keep their digits, and no tensor is larger than a block."""

import pytest
import torch
from literal_neurons import literal_softmax_change
from measured_neurons import assert_equal, measured
from random_models import random_model, random_samples
from torch.utils._python_dispatch import TorchDispatchMode

from safety_regions.models.attention import Heads
from safety_regions.models.attention_change import of_channel, softmax_change
from safety_regions.models.tokens import Sample


def random_heads(n_heads=2, n=12, dim=4, size=1.0, softcap=None, seed=0):
    draw = torch.Generator().manual_seed(seed)
    q, k = (torch.randn(n_heads, n, dim, generator=draw) * size for _ in range(2))
    return Heads(q, k, dim**-0.5, softcap)


def without_channel(heads, scale_delta=True, **options):
    return softmax_change(heads, of_channel(heads), scale_delta, **options)


def literal_of(heads, scale_delta):
    causal = torch.ones(heads.query.shape[1], heads.query.shape[1], dtype=torch.bool).tril()
    return literal_softmax_change(heads.query, heads.key, causal, heads.scaling, heads.softcap, scale_delta)


@pytest.mark.parametrize("softcap", [None, 30.0])
@pytest.mark.parametrize("scale_delta", [True, False])
@pytest.mark.parametrize("size", [1e-3, 1.0, 4.0, 12.0])
def test_neither_small_nor_huge_scores_lose_the_change(size, scale_delta, softcap):
    """Exponents from 1e-6, where probabilities hardly move, to 1000, whose exp is not a float32."""
    heads = random_heads(size=size, softcap=softcap)
    found = without_channel(heads, scale_delta)
    assert found.isfinite().all()
    # float32 scores of size^2 are themselves off by as much, relative to 1.
    assert_equal(found, literal_of(heads, scale_delta), rtol=1e-5 * max(1.0, size))


def test_rows_that_attend_to_one_token_only_keep_their_digits():
    """Every row gives nearly all of its probability to the token before it, so each change is a tiny difference."""
    heads = random_heads(n_heads=1, n=16, dim=18, size=0.5)
    heads.key[..., 2:] = torch.eye(16)
    heads.query[..., 2:] = 60 * torch.eye(16).roll(1, 0) + 60 * (torch.arange(16) == 0)[:, None] * torch.eye(16)
    assert_equal(without_channel(heads)[:, :2], literal_of(heads, True)[:, :2], rtol=2e-5)


@pytest.mark.parametrize("softcap", [None, 30.0])
def test_a_channel_that_hardly_counts_keeps_its_digits_beside_one_that_does(softcap):
    heads = random_heads(softcap=softcap, size=1e-3)
    heads.query[..., 0], heads.key[..., 0] = 8, 8 + heads.key[..., 0] * 1000
    assert_equal(without_channel(heads)[:, 1:], literal_of(heads, True)[:, 1:], rtol=5e-5)


def test_blocks_do_not_change_the_result():
    heads = random_heads(n_heads=3, n=20)
    whole = without_channel(heads, block=2**22)
    for block in (1, 80, 500, 5000):
        torch.testing.assert_close(without_channel(heads, block=block), whole, rtol=1e-5, atol=0)


class LargestTensor(TorchDispatchMode):
    """Elements of the largest storage that an operation returned and that is not one of its arguments'."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        given = {x.untyped_storage().data_ptr() for x in args if isinstance(x, torch.Tensor)}
        for x in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() not in given:
                self.elements = max(self.elements, x.untyped_storage().nbytes() // x.element_size())
        return result


def test_a_long_prompt_needs_no_more_than_a_block():
    n, dim, block = 600, 16, 2**17
    heads = random_heads(n_heads=2, n=n, dim=dim)
    with LargestTensor() as largest:
        without_channel(heads, block=block)
    assert block / 2 < largest.elements <= block


def test_the_model_reads_a_long_prompt_within_blocks(monkeypatch):
    from safety_regions.models import attention_change

    loaded = random_model("llama", max_position_embeddings=1024, num_hidden_layers=1)
    [long] = [Sample(s.id, s.input_ids, 600) for s in random_samples(1, shortest=600, longest=600)]
    whole = measured(loaded, [long], tokens="prompt")
    monkeypatch.setitem(attention_change.BLOCKS, "cpu", 2**16)
    with LargestTensor() as largest:
        in_blocks = measured(loaded, [long], tokens="prompt")
    # What the model makes itself, 600 positions of an MLP, and nothing larger than a block.
    assert largest.elements <= 2**16 < 600 * 600
    for name, values in whole.items():
        torch.testing.assert_close(in_blocks[name], values, rtol=1e-4, atol=0)
