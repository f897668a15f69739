"""A model whose layers are read from its files when a pass comes to them is measured as one that holds them all: the
same bytes, and never more than one layer in it.
"""

from contextlib import contextmanager

import pytest
import torch
from random_models import ARCHITECTURES, needs_of, random_model, random_samples, varied_model

from safety_regions.config.architectures import WRAPPERS
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import options_of
from safety_regions.methods import passes
from safety_regions.methods.interface import method
from safety_regions.methods.passes import run_pass
from safety_regions.models.architecture import layers_of, projections
from safety_regions.models.load import LoadedModel, place, read_weights
from safety_regions.models.streamed import StreamedLayers
from safety_regions.regions.select import Cut

SHARING = [name for name in CATALOGUE if hasattr(method(name), "observer")]
LIMIT = 60


def stored(loaded, folder, n_files=1):
    """The folder of a model, with its weights in so many files or more."""
    size = sum(p.numel() * p.element_size() for p in loaded.model.parameters())
    loaded.model.save_pretrained(folder, max_shard_size=size // n_files + 1)
    return loaded, folder


def read_again(of, dtype=torch.float32, *, streamed):
    loaded, folder = of
    model = read_weights(str(folder), dtype, streamed=streamed)
    layers = place(model.requires_grad_(False).eval(), "cpu", streamed=streamed)
    return LoadedModel(model, loaded.tokenizer, None, (1,), layers)


def measured(loaded, samples, names, batch_tokens=LIMIT):
    needs = {n: needs_of(n, loaded) | ({"merged": True} if CATALOGUE[n].needs_adapter else {}) for n in names}
    observers = [method(n).observer(loaded, samples, options_of(n, {}), **needs[n]) for n in names]
    run_pass(loaded, samples, observers, batch_tokens=batch_tokens, doing="test")
    return {name: observer.statistics() for name, observer in zip(names, observers, strict=True)}


def assert_same_bytes(found, expected):
    assert list(found) == list(expected)
    for name, statistics in expected.items():
        assert list(found[name]) == list(statistics)
        for matrix, values in statistics.items():
            assert found[name][matrix].dtype == values.dtype
            assert torch.equal(found[name][matrix], values), (name, matrix)


def assert_same(of, dtype=torch.float32, names=SHARING):
    held, streamed = (read_again(of, dtype, streamed=way) for way in (False, True))
    samples = random_samples(7)
    assert_same_bytes(measured(streamed, samples, names), measured(held, samples, names))
    return held, streamed


def present(loaded):
    """Layers of which some weights are in the model."""
    layers = layers_of(loaded.model)
    return [n for n, layer in enumerate(layers) if any(p.device.type != "meta" for p in layer.parameters())]


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, *WRAPPERS])
def test_statistics_of_every_architecture_are_the_same_bytes(architecture, tmp_path):
    loaded = random_model(architecture) if architecture in WRAPPERS else varied_model(architecture)
    names = SHARING if architecture in ("llama", "phi3") else ["snip", "wanda"]
    _, streamed = assert_same(stored(loaded, tmp_path, n_files=3), names=names)
    assert not present(streamed)


@pytest.mark.parametrize(
    ("dtype", "of_files"),
    [
        (torch.bfloat16, torch.bfloat16),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.bfloat16),
        (torch.float16, torch.float16),
    ],
)
@pytest.mark.parametrize("family", ["llama", "gemma2", "qwen2"])
def test_in_every_dtype_whatever_that_of_the_files(family, dtype, of_files, tmp_path):
    assert_same(stored(random_model(family, dtype=of_files), tmp_path), dtype)


def test_without_gradients_too_and_with_more_layers(tmp_path):
    assert_same(stored(random_model("gemma2", num_hidden_layers=5), tmp_path), names=["wanda", "safeneuron"])
    assert_same(stored(random_model("llama", num_hidden_layers=1), tmp_path))


@pytest.mark.parametrize("name", ["snip", "wanda", "ssah"])
@pytest.mark.parametrize("scope", ["matrix", "model"])
def test_levels_are_the_same(name, scope, tmp_path):
    of, samples, cut = stored(random_model("qwen2"), tmp_path), random_samples(5), Cut((0.1, 0.3), scope)
    held, streamed = (read_again(of, streamed=way) for way in (False, True))
    options = options_of(name, {})
    statistics = method(name).measure(held, samples, options, batch_tokens=LIMIT)
    expected, found = (list(method(name).levels(of, statistics, options, cut)) for of in (held, streamed))
    assert [matrix for matrix, _ in found] == [matrix for matrix, _ in expected]
    assert all((a == b).all() for (_, a), (_, b) in zip(found, expected, strict=True))
    assert not present(streamed)


def test_levels_of_a_layer_find_its_weights_where_its_gradients_are_done(tmp_path, monkeypatch):
    streamed = read_again(stored(random_model("llama"), tmp_path), streamed=True)
    read = counted_reads(monkeypatch)
    observer = method("snip").observer(streamed, random_samples(5), options_of("snip", {}))
    run_pass(streamed, random_samples(5), [observer], batch_tokens=LIMIT, doing="test")
    for part in observer.by_layer():
        list(method("snip").levels(streamed, part, options_of("snip", {}), Cut((0.1,), "matrix")))
    assert read == [0, 1, 1, 0]


def counted_reads(monkeypatch):
    """Numbers of the layers that are read from now on."""
    read, own = [], StreamedLayers._read
    monkeypatch.setattr(StreamedLayers, "_read", lambda *of: read.append(of[1]) or own(*of))
    return read


@pytest.mark.parametrize("batch_tokens", [1, 10**6])
def test_each_layer_is_read_once_forward_and_once_backward_and_lies_alone(batch_tokens, tmp_path, monkeypatch):
    of = stored(random_model("llama", num_hidden_layers=4), tmp_path)
    streamed, samples = read_again(of, streamed=True), random_samples(6)
    # What all layers read of these is more than gradients would be: a model that is held goes through them in groups.
    monkeypatch.setattr(passes, "_tokens_kept", lambda model: 1)
    read, at_work, own = counted_reads(monkeypatch), [], StreamedLayers.present

    @contextmanager
    def watched(layers, number):
        with own(layers, number):
            at_work.append((number, present(streamed)))
            yield

    monkeypatch.setattr(StreamedLayers, "present", watched)
    measured(streamed, samples, ["wanda"], batch_tokens)
    assert read == [0, 1, 2, 3]
    read.clear()
    measured(streamed, samples, ["wanda", "snip"], batch_tokens)
    assert read == [0, 1, 2, 3, 3, 2, 1, 0]
    assert all(alone == [number] for number, alone in at_work)


def test_a_failing_observer_leaves_the_model_as_it_was(tmp_path):
    of = stored(random_model("llama"), tmp_path)
    streamed, samples = read_again(of, streamed=True), random_samples(3)
    expected = measured(streamed, samples, ["wanda", "snip"])
    for name, fails in (("wanda", "add"), ("snip", "watching_layer")):
        observer = method(name).observer(streamed, samples, options_of(name, {}))
        setattr(observer, fails, lambda *of: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_pass(streamed, samples, [observer], batch_tokens=LIMIT, doing="test")
            observer.statistics()
        assert not present(streamed)
        modules = list(streamed.model.modules())
        assert not any(m._forward_pre_hooks or m._forward_hooks or "forward" in vars(m) for m in modules)
    assert_same_bytes(measured(streamed, samples, ["wanda", "snip"]), expected)


def test_the_model_is_that_of_a_plain_load_but_for_its_layers(tmp_path):
    of = stored(random_model("gemma2"), tmp_path)
    held, streamed = (read_again(of, torch.bfloat16, streamed=way) for way in (False, True))
    assert vars(held.model).keys() == vars(streamed.model).keys()
    assert not any(hasattr(m, "_hf_hook") or "forward" in vars(m) for m in streamed.model.modules())
    plain, partly = held.model.state_dict(), streamed.model.state_dict()
    assert plain.keys() == partly.keys()
    for name, values in plain.items():
        assert (partly[name].device.type == "meta") is name.startswith("model.layers.")
        assert values.dtype == partly[name].dtype and values.shape == partly[name].shape
    for (name, a), (_, b) in zip(held.model.named_buffers(), streamed.model.named_buffers(), strict=True):
        assert torch.equal(a, b), name
    with streamed.layer(1):
        with streamed.layer(1):
            pass
        assert present(streamed) == [1]
        for p, q in zip(projections(held.model), projections(streamed.model), strict=True):
            assert p.layer != 1 or torch.equal(p.read(), q.read())
