"""SafeNeuron against brute force: neurons really taken out of a layer, and the softmax formula written with loops."""

import copy
import math
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from random_models import FAMILIES, random_model, random_samples
from torch.utils._python_dispatch import TorchDispatchMode

from safety_regions.config.methods import SafeNeuron
from safety_regions.errors import UserError
from safety_regions.methods import safeneuron
from safety_regions.methods.interface import Method
from safety_regions.models.architecture import projections
from safety_regions.models.attention import Heads, listening, without_channel
from safety_regions.models.tokens import Sample, batches
from safety_regions.select import Cut

GRID = (0.01, 0.05, 0.2, 0.5)
DIM = 8
KV_HEADS = [2, 4]


def random_prompts(n, seed=0):
    """Samples whose prompts have 4 to 18 tokens, with a response of two behind each."""
    return [Sample(s.id, s.input_ids, len(s.input_ids) - 2) for s in random_samples(n, seed, shortest=6)]


def measured(loaded, samples, batch_tokens=60, **options):
    return safeneuron.measure(loaded, samples, SafeNeuron(**options), batch_tokens=batch_tokens)


def layer_inputs(loaded, sample):
    """What the attention and the MLP of each layer are given for a sample's prompt: their keyword arguments, and x."""
    found = []
    hooks = []
    for block in loaded.model.model.layers:
        seen = {"block": block}
        found.append(seen)
        keep = lambda _, args, kwargs, seen=seen: seen.update(hidden=kwargs["hidden_states"], angles=kwargs["position_embeddings"])  # noqa: E731  # fmt: skip
        hooks.append(block.self_attn.register_forward_pre_hook(keep, with_kwargs=True))
        hooks.append(block.mlp.register_forward_pre_hook(lambda _, args, seen=seen: seen.update(x=args[0])))
    loaded.model(torch.tensor([sample.input_ids[: sample.n_prompt]]))
    for hook in hooks:
        hook.remove()
    return found


def literal_mask(loaded, layer, n):
    """[t, s] by loops: not to the right, and within the window of a layer that has one."""
    attention = loaded.model.model.layers[layer].self_attn
    in_every_layer = loaded.model.config.model_type in ("mistral", "phi3")
    window = loaded.model.config.sliding_window if in_every_layer else getattr(attention, "sliding_window", None)
    return torch.tensor([[s <= t and (window is None or s > t - window) for s in range(n)] for t in range(n)])


def attention_output(loaded, layer, seen, attention):
    """The output of an attention module in float64, for the inputs its layer had."""
    mask = literal_mask(loaded, layer, seen["hidden"].shape[1])
    additive = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(~mask, -1e300)
    cos, sin = (x.double() for x in seen["angles"])
    output, _ = attention(hidden_states=seen["hidden"].double(), position_embeddings=(cos, sin), attention_mask=additive[None, None])  # fmt: skip
    return output


def doubled(module):
    module = copy.deepcopy(module).double()
    module.config._attn_implementation = "eager"
    return module


def of_layer(loaded, layer):
    return {p.kind: p for p in projections(loaded.model) if p.layer == layer}


def norms_of_changes(parameters, output):
    """Norm of the change of `output()` while each of these slices of parameters (several at a time) is zero."""
    before = output()
    norms = []
    for slices in parameters:
        kept = [x.clone() for x in slices]
        for x in slices:
            x.zero_()
        norms.append((before - output()).norm())
        for x, values in zip(slices, kept, strict=True):
            x.copy_(values)
    return torch.stack(norms)


def zeroed_rows(loaded, layer, seen):
    """Norm of the change of the attention's output when row j of W_v (and its bias) is zero."""
    attention = doubled(seen["block"].self_attn)
    v = of_layer(loaded, layer)["v"]
    path = next(name for name, m in seen["block"].self_attn.named_modules() if m is v.module)
    linear = attention.get_submodule(path)
    parameters = [linear.weight] if linear.bias is None else [linear.weight, linear.bias]
    rows = ([x[row] for x in parameters] for row in range(v.start, v.stop))
    return norms_of_changes(rows, lambda: attention_output(loaded, layer, seen, attention))


def zeroed_paths(loaded, layer, seen):
    """The same for one query head at a time: column (head, j) of W_o is zero; [query head, j]."""
    attention = doubled(seen["block"].self_attn)
    columns = ([column] for column in attention.o_proj.weight.T)
    return norms_of_changes(columns, lambda: attention_output(loaded, layer, seen, attention)).view(-1, DIM)


def zeroed_columns(seen):
    """Norm of the change of the MLP's output when column k of W_down is zero."""
    mlp = copy.deepcopy(seen["block"].mlp).double()
    return norms_of_changes(([column] for column in mlp.down_proj.weight.T), lambda: mlp(seen["x"].double()))


def queries_and_keys(loaded, layer, seen):
    """[head, pos, dim] after rotary embedding, float32, keys repeated for the query heads that share them."""
    parts = of_layer(loaded, layer)
    rotate = sys.modules[type(seen["block"].self_attn).__module__].apply_rotary_pos_emb
    q, k = (parts[kind].module(seen["hidden"])[..., parts[kind].start : parts[kind].stop] for kind in ("q", "k"))
    q, k = rotate(*(x.unflatten(2, (-1, DIM)).transpose(1, 2) for x in (q, k)), *seen["angles"])
    return q[0], k[0].repeat_interleave(q.shape[1] // k.shape[1], dim=0)


def literal_softmax_change(q, k, mask, scaling, softcap, scale_delta):
    """||softmax((QK^T - D_j) / sqrt(d)) - softmax(QK^T / sqrt(d))|| one head and channel at a time, float64."""
    q, k = q.double(), k.double()
    cap = (lambda x: softcap * torch.tanh(x / softcap)) if softcap else (lambda x: x)
    norms = torch.zeros(q.shape[0], q.shape[2], dtype=torch.float64)
    for head in range(q.shape[0]):
        scores = q[head] @ k[head].T * scaling
        for j in range(q.shape[2]):
            delta = torch.outer(q[head, :, j], k[head, :, j]) * (scaling if scale_delta else 1)
            without = cap(scores - delta).masked_fill(~mask, -torch.inf).softmax(dim=1)
            norms[head, j] = (without - cap(scores).masked_fill(~mask, -torch.inf).softmax(dim=1)).norm()
    return norms


def literal_q_and_k(loaded, sample, scale_delta, shared_heads):
    found = {}
    for layer, seen in enumerate(layer_inputs(loaded, sample)):
        q, k = queries_and_keys(loaded, layer, seen)
        softcap = getattr(seen["block"].self_attn, "attn_logit_softcapping", None)
        mask = literal_mask(loaded, layer, q.shape[1])
        per_head = literal_softmax_change(q, k, mask, seen["block"].self_attn.scaling, softcap, scale_delta)
        groups = per_head.view(loaded.model.config.num_key_value_heads, -1, DIM)
        found[f"{layer}.q"] = per_head.flatten()
        found[f"{layer}.k"] = (groups.square().sum(1).sqrt() if shared_heads == "joint" else groups.amax(1)).flatten()
    return found


def assert_equal(found, expected, rtol=1e-5):
    torch.testing.assert_close(found.double(), expected.double(), rtol=rtol, atol=0.1 * rtol * float(expected.max()))


@pytest.mark.parametrize("kv_heads", KV_HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_joint_value_importance_is_what_zeroing_the_row_changes(family, kv_heads):
    loaded, [sample] = random_model(family, num_key_value_heads=kv_heads), random_prompts(1)
    found = measured(loaded, [sample], shared_heads="joint")
    for layer, seen in enumerate(layer_inputs(loaded, sample)):
        assert_equal(found[f"{layer}.v"][0], zeroed_rows(loaded, layer, seen))


@pytest.mark.parametrize("kv_heads", KV_HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_value_importance_is_the_largest_change_by_one_query_head(family, kv_heads):
    loaded, [sample] = random_model(family, num_key_value_heads=kv_heads), random_prompts(1)
    found = measured(loaded, [sample])
    for layer, seen in enumerate(layer_inputs(loaded, sample)):
        per_head = zeroed_paths(loaded, layer, seen).view(kv_heads, -1, DIM)
        assert_equal(found[f"{layer}.v"][0], per_head.amax(dim=1).flatten())


@pytest.mark.parametrize("family", FAMILIES)
def test_ffn_importance_is_what_zeroing_the_column_changes(family):
    loaded, samples = random_model(family), random_prompts(2)
    found = measured(loaded, samples)
    for row, sample in enumerate(samples):
        for layer, seen in enumerate(layer_inputs(loaded, sample)):
            assert_equal(found[f"{layer}.ffn"][row], zeroed_columns(seen))


@pytest.mark.parametrize("family", FAMILIES)
def test_ffn_importance_of_the_published_code_is_the_sum_of_absolute_up(family):
    loaded, samples = random_model(family), random_prompts(2)
    found = measured(loaded, samples, ffn="up")
    for row, sample in enumerate(samples):
        for layer, seen in enumerate(layer_inputs(loaded, sample)):
            up = of_layer(loaded, layer)["up"]
            y = seen["x"].double() @ up.module.weight[up.start : up.stop].double().T
            assert_equal(found[f"{layer}.ffn"][row], y[0].abs().sum(dim=0))


@pytest.mark.parametrize("shared_heads, scale_delta", [("max", True), ("joint", False)])
@pytest.mark.parametrize("kv_heads", KV_HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_query_and_key_importance_equal_the_literal_formula(family, kv_heads, shared_heads, scale_delta):
    loaded, samples = random_model(family, num_key_value_heads=kv_heads), random_prompts(2)
    found = measured(loaded, samples, shared_heads=shared_heads, scale_delta=scale_delta)
    for row, sample in enumerate(samples):
        for name, expected in literal_q_and_k(loaded, sample, scale_delta, shared_heads).items():
            assert_equal(found[name][row], expected)


@pytest.mark.parametrize("scale_delta", [True, False])
@pytest.mark.parametrize("family, sizes", [
    ("gemma2", {"attn_logit_softcapping": 1.5}), ("gemma2", {"sliding_window": 5}), ("mistral", {"sliding_window": 5}), ("phi3", {"sliding_window": 5}),
])  # fmt: skip
def test_soft_cap_and_sliding_window_are_the_models_own(family, sizes, scale_delta):
    loaded, samples = random_model(family, **sizes), [s for s in random_prompts(9) if s.n_prompt > 7][:2]
    plain = random_model(family, **{key: None if family == "gemma2" and "cap" in key else 4096 for key in sizes})
    for row, (found, of_plain) in enumerate(
        zip(*(measured(m, samples, scale_delta=scale_delta)["1.q"] for m in (loaded, plain)), strict=True)
    ):
        expected = literal_q_and_k(loaded, samples[row], scale_delta, "max")
        assert_equal(found, expected["1.q"])
        assert not torch.allclose(found, of_plain, rtol=1e-3)
    joint = measured(loaded, samples, shared_heads="joint")
    for layer, seen in enumerate(layer_inputs(loaded, samples[0])):
        assert_equal(joint[f"{layer}.v"][0], zeroed_rows(loaded, layer, seen))


def random_heads(n_heads=2, n=12, dim=4, size=1.0, softcap=None, seed=0):
    draw = torch.Generator().manual_seed(seed)
    q, k = (torch.randn(n_heads, n, dim, generator=draw) * size for _ in range(2))
    return Heads(q, k, dim**-0.5, softcap)


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
    from safety_regions.models import attention

    loaded = random_model("llama", max_position_embeddings=1024, num_hidden_layers=1)
    [long] = [Sample(s.id, s.input_ids, 600) for s in random_samples(1, shortest=600, longest=600)]
    whole = measured(loaded, [long])
    monkeypatch.setitem(attention.BLOCKS, "cpu", 2**16)
    with LargestTensor() as largest:
        in_blocks = measured(loaded, [long])
    # What the model makes itself, 600 positions of an MLP, and nothing larger than a block.
    assert largest.elements <= 2**16 < 600 * 600
    for name, values in whole.items():
        torch.testing.assert_close(in_blocks[name], values, rtol=1e-4, atol=0)


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
    loaded, samples = random_model("llama"), [Sample("same", s.input_ids, s.n_prompt) for s in random_prompts(6)]
    assert len({s.n_prompt for s in samples}) > 3
    together = measured(loaded, samples)
    for row, sample in enumerate(samples):
        for name, values in measured(loaded, [sample]).items():
            assert_equal(together[name][row], values[0])


def test_responses_are_not_looked_at():
    loaded, samples = random_model("qwen2"), random_prompts(5)
    other = [Sample(s.id, (*s.input_ids[: s.n_prompt], 7, 8, 9), s.n_prompt) for s in samples]
    first, second = measured(loaded, samples), measured(loaded, other)
    for name, values in first.items():
        assert_equal(second[name], values)


@pytest.mark.parametrize("family", FAMILIES)
def test_statistics_are_named_and_shaped_like_the_models_neurons(family):
    statistics = measured(random_model(family), random_prompts(3))
    shapes = {"q": (3, 32), "k": (3, 16), "v": (3, 16), "ffn": (3, 48)}
    assert {name: tuple(x.shape) for name, x in statistics.items()} == {f"{i}.{k}": s for i in (0, 1) for k, s in shapes.items()}  # fmt: skip
    assert list(statistics) == [f"{i}.{kind}" for i in (0, 1) for kind in ("q", "k", "v", "ffn")]
    assert all(x.dtype == torch.float32 and x.is_contiguous() and (x > 0).any() for x in statistics.values())
    assert len({x.untyped_storage().data_ptr() for x in statistics.values()}) == len(statistics)
    assert isinstance(safeneuron, Method)


@pytest.mark.parametrize("sizes", [{}, {"attn_logit_softcapping": 1.5, "sliding_window": 5}])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_that_is_listened_to_computes_what_it_always_does(family, sizes):
    loaded = random_model(family, **(sizes if family == "gemma2" else {}))
    ids = torch.tensor([s.input_ids for s in random_samples(3, shortest=12, longest=12)])
    calls = []
    with listening(loaded.model, lambda layer, heads: calls.append(layer)):
        found = loaded.model(ids).logits
    assert calls == [0, 1]
    assert torch.equal(found, loaded.model(ids).logits)


def hooks_of(model):
    return Counter((name, len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules())


@pytest.mark.parametrize("family", FAMILIES)
def test_measuring_leaves_the_model_as_it_was(family):
    loaded, samples = random_model(family), random_prompts(3)
    ids = torch.tensor([samples[0].input_ids])
    before, hooks, implementation = loaded.model(ids).logits, hooks_of(loaded.model), loaded.model.config._attn_implementation  # fmt: skip
    weights = {k: v.clone() for k, v in loaded.model.state_dict().items()}
    measured(loaded, samples)
    with pytest.raises(ZeroDivisionError), listening(loaded.model, lambda layer, heads: 1 / 0):
        loaded.model(ids)
    assert torch.equal(before, loaded.model(ids).logits)
    assert all(torch.equal(weights[k], v) for k, v in loaded.model.state_dict().items())
    assert (hooks_of(loaded.model), loaded.model.config._attn_implementation) == (hooks, implementation)


def test_importances_of_a_bfloat16_model_are_float32_and_near_the_exact_ones():
    loaded, samples = random_model("llama", dtype=torch.bfloat16), random_prompts(4)
    exact = random_model("llama")
    exact.model.load_state_dict({k: v.float() for k, v in loaded.model.state_dict().items()})
    expected = measured(exact, samples)
    for name, values in measured(loaded, samples).items():
        assert values.dtype == torch.float32
        assert torch.corrcoef(torch.stack([values.flatten(), expected[name].flatten()]))[0, 1] > 0.99


def test_attention_that_cannot_be_listened_to_is_an_error(monkeypatch):
    loaded = random_model("llama")
    monkeypatch.setattr(type(loaded.model), "_can_set_attn_implementation", lambda _: False)
    with pytest.raises(UserError, match="LlamaForCausalLM"):
        measured(loaded, random_samples(1))


@pytest.mark.parametrize("samples, names", [([], "no samples"), ([Sample("odd", (5, 6), 0)], "odd")])
def test_nothing_to_measure_is_an_error(samples, names):
    with pytest.raises(UserError, match=names):
        measured(random_model("llama"), samples)


def levels_of(loaded, statistics, scope, **options):
    return dict(safeneuron.levels(loaded, statistics, SafeNeuron(**options), Cut(GRID, scope)))


def random_statistics(loaded, n_prompts=7):
    """Coarse importances, so that there are ties at every cut; prompts share most of what matters."""
    draw = torch.Generator().manual_seed(3)
    sizes = safeneuron.neurons(loaded.model)
    common = {name: torch.rand(size, generator=draw) * 12 for name, size in sizes.items()}
    return {name: (torch.rand(n_prompts, size, generator=draw) * 4 + common[name]).round() for name, size in sizes.items()}  # fmt: skip


def units(names, scope):
    of = {"row": lambda name: name, "matrix": lambda name: name, "layer": lambda name: name.split(".")[0], "model": lambda name: ""}  # fmt: skip
    return [[name for name in names if of[scope](name) == unit] for unit in dict.fromkeys(map(of[scope], names))]


def literal_agreement(statistics, names, scope, fraction, agreement):
    """Sets: per prompt the round(fraction * size) largest, lower index first; then who is in enough of them."""
    inside = set()
    for unit in units(names, scope):
        elements = [(name, i) for name in unit for i in range(statistics[name].shape[1])]
        n_prompts = len(statistics[unit[0]])
        votes = Counter()
        for prompt in range(n_prompts):
            ranked = sorted(elements, key=lambda e: -float(statistics[e[0]][prompt, e[1]]))
            votes.update(ranked[: round(fraction * len(elements))])
        inside |= {element for element, n in votes.items() if n >= math.ceil(agreement * n_prompts - 1e-9)}
    return inside


@pytest.mark.parametrize("agreement", [1.0, 5 / 7, 0.5, 0.01])
@pytest.mark.parametrize("scope", ["row", "matrix", "layer", "model"])
def test_agreement_counts_the_prompts_whose_top_fraction_holds_a_neuron(scope, agreement):
    loaded = random_model("llama")
    statistics = random_statistics(loaded)
    names = list(safeneuron.neurons(loaded.model))
    found = levels_of(loaded, dict(sorted(statistics.items())), scope, select="agreement", agreement=agreement)
    assert list(found) == names
    assert all(x.shape == (1, statistics[name].shape[1]) and x.dtype == np.uint8 for name, x in found.items())
    sizes = []
    for i, fraction in enumerate(GRID):
        inside = {(name, k) for name, x in found.items() for k in np.flatnonzero(x[0] >= len(GRID) - i)}
        assert inside == literal_agreement(statistics, names, scope, fraction, agreement)
        sizes.append(len(inside))
    assert sizes[-1] > sizes[1] > 0 or agreement == 1


def test_a_share_of_the_prompts_is_not_missed_by_rounding():
    """0.28 * 25 is a little more than 7 in floating point; 7 prompts are enough all the same."""
    loaded = random_model("llama")
    statistics = {name: torch.zeros(25, size) for name, size in safeneuron.neurons(loaded.model).items()}
    statistics["0.q"][:7, 31] = statistics["0.q"][:6, 30] = 1
    found = levels_of(loaded, statistics, "matrix", select="agreement", agreement=0.28)["0.q"][0]
    assert 0.28 * 25 > 7
    assert found[31] == 3 and found[30] == 0


def test_agreement_of_all_prompts_is_the_intersection_of_their_regions():
    loaded = random_model("llama")
    statistics = random_statistics(loaded)
    each = [levels_of(loaded, {n: x[[p]] for n, x in statistics.items()}, "matrix") for p in range(7)]
    together = levels_of(loaded, statistics, "matrix", select="agreement")
    assert any(x.any() for x in together.values())
    for name, x in together.items():
        np.testing.assert_array_equal(x, np.min([levels[name] for levels in each], axis=0))


@pytest.mark.parametrize("scope", ["row", "matrix", "layer", "model"])
def test_mean_keeps_exactly_the_fraction_of_the_largest_means(scope):
    loaded = random_model("llama")
    statistics = random_statistics(loaded)
    names = list(safeneuron.neurons(loaded.model))
    found = levels_of(loaded, statistics, scope)
    assert list(found) == names
    means = {name: x.double().mean(dim=0).float().numpy() for name, x in statistics.items()}
    for i, fraction in enumerate(GRID):
        for unit in units(names, scope):
            inside = np.concatenate([found[name][0] >= len(GRID) - i for name in unit])
            scores = np.concatenate([means[name] for name in unit])
            assert inside.sum() == round(fraction * len(scores))
            assert not inside.any() or scores[inside].min() >= scores[~inside].max()


@pytest.mark.parametrize("select", ["mean", "agreement"])
def test_importances_that_are_nan_are_an_error(select):
    loaded = random_model("llama")
    statistics = random_statistics(loaded)
    statistics["1.v"][2, 3] = torch.nan
    with pytest.raises(UserError, match=r"1\.v"):
        levels_of(loaded, statistics, "matrix", select=select)
