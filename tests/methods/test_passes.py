"""One pass for several methods: the bytes of each are those of a pass of its own, whoever else watches and in whatever
order.
"""

from contextlib import contextmanager, nullcontext
from itertools import permutations

import pytest
import torch
from random_models import needs_of, random_model, random_samples
from some_recipes import some_recipe

from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import options_of
from safety_regions.methods import passes, snip
from safety_regions.methods.backward import Backward
from safety_regions.methods.interface import method
from safety_regions.methods.passes import response_loss, run_pass
from safety_regions.models.architecture import linears, projections
from safety_regions.models.tokens import buckets, collate
from safety_regions.planning.recipes.regions import Part
from safety_regions.steps.entry import Entry
from safety_regions.steps.measure import by_sample

FAMILIES = ["llama", "qwen2", "gemma2", "mistral"]
"""Those of the tiny models."""
SHARING = [name for name in CATALOGUE if hasattr(method(name), "observer")]
LIMIT = 60


def needs(name, loaded):
    """An adapter that counts as merged: a pass of its own is what one that is not needs."""
    return needs_of(name, loaded) | ({"merged": True} if CATALOGUE[name].needs_adapter else {})


def alone(name, loaded, samples):
    return method(name).measure(loaded, samples, options_of(name, {}), batch_tokens=LIMIT, **needs(name, loaded))


def together(names, loaded, samples, batch_tokens=LIMIT):
    observers = [method(n).observer(loaded, samples, options_of(n, {}), **needs(n, loaded)) for n in names]
    run_pass(loaded, samples, observers, batch_tokens=batch_tokens, doing="test")
    return {name: observer.statistics() for name, observer in zip(names, observers, strict=True)}


def assert_same_bytes(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        assert torch.equal(found[name], values), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_together_gives_the_bytes_of_each_alone(family, dtype):
    loaded, samples = random_model(family, dtype=dtype), random_samples(9)
    expected = {name: alone(name, loaded, samples) for name in SHARING}
    for names in (SHARING, SHARING[::-1], SHARING[1:]):
        for name, found in together(names, loaded, samples).items():
            assert_same_bytes(found, expected[name])


def test_the_order_of_methods_changes_nothing():
    loaded, samples = random_model("gemma2"), random_samples(5)
    first = together(SHARING, loaded, samples)
    for names in permutations(SHARING):
        for name, found in together(names, loaded, samples).items():
            assert_same_bytes(found, first[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_by_layer_are_those_of_one_graph_of_the_whole_model(family, dtype):
    """To the last bit: |g| of every sample from one backward pass, added up in the order of the batches."""
    loaded, samples = random_model(family, dtype=dtype), random_samples(9)
    matrices, expected = projections(loaded.model), {}
    # Weights need no gradient: something must make autograd go down to the first layer.
    loaded.model.model.embed_tokens.register_forward_hook(lambda module, args, output: output.requires_grad_())
    with snip._summing({m: expected.setdefault(m, torch.zeros(m.weight.shape)) for m in linears(matrices)}, {}):
        for places in buckets(samples, LIMIT):
            response_loss(loaded.model, collate([samples[place] for place in places])).backward()
    found = alone("snip", random_model(family, dtype=dtype), samples)
    assert list(found) == [p.name for p in matrices]
    for p in matrices:
        assert torch.equal(found[p.name], (expected[p.module] / len(samples))[p.rows]), p.name


@pytest.mark.parametrize("family", FAMILIES)
def test_where_all_that_layers_read_is_too_much_gradients_are_kept_instead_and_are_the_same(family, monkeypatch):
    loaded, samples = random_model(family), random_samples(9)
    expected = {name: alone(name, loaded, samples) for name in SHARING}
    went_back = []
    through = Backward._through
    monkeypatch.setattr(Backward, "_through", lambda *of: went_back.append(of[1]) or through(*of))
    for room, in_turn in ((10**6, True), (LIMIT, False)):
        monkeypatch.setattr(passes, "_tokens_kept", lambda model, room=room: room)
        went_back.clear()
        for name, found in together(SHARING, loaded, samples).items():
            assert_same_bytes(found, expected[name])
        # Either all batches of a layer, then the next layer; or all layers of a group, then the next group.
        assert (went_back == sorted(went_back, reverse=True)) is in_turn


class SizesOfGradients:
    """Looks at what reaches each layer's output."""

    def __init__(self, model):
        self._model, self.sums = model, {}

    def watching(self):
        return nullcontext()

    def see(self, batch, places):
        pass

    @contextmanager
    def watching_layer(self, layer):
        def add(module, of_inputs, of_outputs):
            self.sums[layer] = self.sums.get(layer, 0) + float(of_outputs[0].abs().sum())

        hook = self._model.model.layers[layer].mlp.register_full_backward_hook(add)
        yield
        hook.remove()

    def leave(self, backward):
        self._backward = backward

    def by_layer(self):
        for layer in self._backward.layer_by_layer(self.watching_layer):
            yield {str(layer): torch.tensor(self.sums[layer])}

    def statistics(self):
        return {name: of for part in self.by_layer() for name, of in part.items()}


def test_two_observers_of_gradients_see_what_each_sees_alone():
    loaded, samples = random_model("llama"), random_samples(5)
    of_snip, alone_too = alone("snip", loaded, samples), SizesOfGradients(loaded.model)
    run_pass(loaded, samples, [alone_too], batch_tokens=LIMIT, doing="test")
    two = [method("snip").observer(loaded, samples, options_of("snip", {})), SizesOfGradients(loaded.model)]
    run_pass(loaded, samples, two, batch_tokens=LIMIT, doing="test")
    assert_same_bytes(two[0].statistics(), of_snip)
    assert_same_bytes(two[1].statistics(), alone_too.statistics())


def test_by_layer_gives_what_statistics_gives_the_last_layer_first():
    loaded, samples = random_model("qwen2"), random_samples(5)
    expected = alone("snip", loaded, samples)
    observer = method("snip").observer(loaded, samples, options_of("snip", {}))
    run_pass(loaded, samples, [observer], batch_tokens=LIMIT, doing="test")
    parts = list(observer.by_layer())
    assert [{name.split(".")[0] for name in part} for part in parts] == [{"1"}, {"0"}]
    assert_same_bytes(
        dict(sorted({**parts[1], **parts[0]}.items(), key=lambda of: list(expected).index(of[0]))), expected
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_another_batch_size_gives_nearly_the_same(family):
    loaded, samples = random_model(family), random_samples(9)
    few, many = (together(SHARING, loaded, samples, batch_tokens) for batch_tokens in (1, 160))
    for name, statistics in few.items():
        for matrix, values in statistics.items():
            torch.testing.assert_close(many[name][matrix], values, rtol=1e-4, atol=1e-5 * float(values.abs().max()))


def test_each_sample_is_read_once_and_gradients_are_made_only_where_needed():
    loaded, samples = random_model("llama"), random_samples(7)
    read = []
    loaded.model.model.embed_tokens.register_forward_pre_hook(
        lambda _, args: read.append((args[0], torch.is_inference_mode_enabled()))
    )
    for names, inference in ((SHARING, False), (["wanda", "safeneuron"], True)):
        read.clear()
        together(names, loaded, samples)
        tokens = sorted(tuple(row[row > 0].tolist()) for ids, _ in read for row in ids)
        assert tokens == sorted(s.input_ids for s in samples)
        assert {mode for _, mode in read} == {inference}


def test_a_failing_observer_leaves_the_model_as_it_was():
    loaded, samples = random_model("llama"), random_samples(3)
    ids = torch.tensor([samples[0].input_ids])
    before = loaded.model(ids).logits
    observers = [method(n).observer(loaded, samples, options_of(n, {}), **needs(n, loaded)) for n in SHARING]
    observers[-1].add = lambda module, reduced: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run_pass(loaded, samples, observers, batch_tokens=LIMIT, doing="test")
    assert torch.equal(before, loaded.model(ids).logits)
    assert not any(m._forward_pre_hooks or m._forward_hooks or "forward" in vars(m) for m in loaded.model.modules())
    assert not any(p.requires_grad or p.grad is not None for p in loaded.model.parameters())


def test_the_loss_is_the_sum_of_each_samples_mean():
    loaded, samples = random_model("llama"), random_samples(4)
    literal = 0.0
    for sample in samples:
        ids = sample.input_ids
        log_p = loaded.model(torch.tensor([ids])).logits[0].log_softmax(dim=1)
        literal -= torch.stack([log_p[at - 1, ids[at]] for at in range(sample.n_prompt, len(ids))]).mean()
    torch.testing.assert_close(response_loss(loaded.model, collate(samples)), literal)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_as_many_tokens_are_kept_as_take_the_room_of_the_gradients_of_all_scored_weights(dtype):
    model, read = random_model("qwen2", dtype=dtype).model, []
    for layer in model.model.layers:
        layer.register_forward_pre_hook(lambda module, args: read.append(args[0].nbytes))
    model(torch.tensor([[5]]))
    gradients = sum(4 * p.read().numel() for p in projections(model))
    n = passes._tokens_kept(model)
    assert n * sum(read) <= gradients < (n + 1) * sum(read)


def test_layers_that_put_out_more_than_their_states_have_the_same_gradients():
    """As those of other versions of transformers do."""
    samples = random_samples(5)
    expected, loaded = alone("snip", random_model("llama"), samples), random_model("llama")
    decoder = loaded.model.model
    for layer in decoder.layers:
        layer.register_forward_hook(lambda module, args, output: (output, None))
    for reader in (*decoder.layers, decoder.norm):
        reader.register_forward_pre_hook(lambda module, args: args[0][:1] if isinstance(args[0], tuple) else None)
    assert_same_bytes(alone("snip", loaded, samples), expected)


def test_entries_of_one_model_and_the_same_pairs_are_measured_together(tmp_path):
    part = Part(split=0, half=0)
    unended = {"end_of_turn": False}
    recipes = [
        {"model": "m", "pairs": "a", "method": "snip"},
        {"model": "m", "pairs": "b", "method": "snip"},
        {"model": "m", "pairs": "a", "method": "snip", "part": part},
        {"model": "m", "pairs": "a", "method": "wanda"},
        {"model": "m", "pairs": "a", "method": "wanda", "part": part},
        {"model": "n", "pairs": "a", "method": "wanda"},
        {"model": "n", "pairs": "a", "method": "snip"} | unended,
        {"model": "n", "pairs": "a", "method": "wanda"} | unended,
    ]
    made = [
        Entry(tmp_path / str(i), some_recipe("statistics", **{"part": None} | of), {}) for i, of in enumerate(recipes)
    ]
    numbers = [[int(entry.path.name) for entry in group] for group in by_sample(made)]
    assert numbers == [[0, 3], [1], [2, 4], [5], [6, 7]]
