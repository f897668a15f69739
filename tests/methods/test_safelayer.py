"""SafeLayer against slow literal transcriptions: states and angles, scaled layers, the rules of the range, and all of
it at once.
"""

import copy

import numpy as np
import pytest
import torch
from random_models import FAMILIES, claiming, random_model, random_samples, varied_model

from safety_regions.config.architectures import blocks_path
from safety_regions.config.methods import SafeLayer
from safety_regions.errors import UserError
from safety_regions.methods import safelayer
from safety_regions.methods.angle_gap import measure_gap
from safety_regions.methods.layer_range import find_range, onset_and_smoothing, scales, share_alike
from safety_regions.methods.safelayer import facts, last_token_states, levels, measure
from safety_regions.models.answers import is_refusal
from safety_regions.models.architecture import decoder_of, projections
from safety_regions.models.generate import generate
from safety_regions.models.scaling import scaled_layers
from safety_regions.models.tokens import Sample, batches
from safety_regions.regions.select import Cut

PROMPTS = ["Paint a fence.", "Add two and two.", "Water the plants, please.", "Name a colour."]


NORMS = ("norm", "final_layernorm", "final_layer_norm", "layer_norm", "layernorm", "final_norm", "ln_f", "norm_f")
"""Names of a decoder's last norm."""


def literal_states(loaded, samples):
    """Each prompt by itself; the model cut behind layer k gives its last norm what layer k puts out."""
    decoder, blocks = decoder_of(loaded.model), blocks_path(loaded.model.config.to_dict()).rpartition(".")[2]
    states = torch.empty(len(samples), decoder.config.num_hidden_layers, decoder.config.hidden_size)
    for k in range(states.shape[1]):
        cut, seen = copy.deepcopy(decoder), []
        setattr(cut, blocks, getattr(cut, blocks)[: k + 1])
        for norm in [getattr(cut, name) for name in NORMS if hasattr(cut, name)]:
            norm.register_forward_pre_hook(lambda _, x, seen=seen: seen.append(x[0]))
        cut.config.num_hidden_layers = k + 1
        for row, sample in enumerate(samples):
            output = cut(torch.tensor([sample.input_ids[: sample.n_prompt]]))
            states[row, k] = (seen[-1] if seen else output.last_hidden_state)[0, -1]
    return states


@pytest.mark.parametrize("architecture", claiming("safelayer"))
def test_states_are_the_layers_outputs_at_the_last_prompt_token(architecture):
    loaded, samples = varied_model(architecture), random_samples(7)
    found = last_token_states(loaded, samples, batch_tokens=60)
    torch.testing.assert_close(found, literal_states(loaded, samples), rtol=1e-5, atol=1e-5)


def test_batching_and_padding_do_not_change_states():
    loaded, samples = random_model("gemma2"), random_samples(12, shortest=3)
    alone = last_token_states(loaded, samples, batch_tokens=1)
    together = last_token_states(loaded, samples, batch_tokens=10_000)
    assert len(batches(samples, 10_000)) == 1
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-5)


def test_responses_have_no_say_in_states():
    loaded, samples = random_model("llama"), random_samples(5)
    prompts_only = [Sample(s.id, s.input_ids[: s.n_prompt], s.n_prompt) for s in samples]
    assert torch.equal(*(last_token_states(loaded, s, batch_tokens=1) for s in (samples, prompts_only)))


def test_states_of_bfloat16_models_are_float32():
    states = last_token_states(random_model("llama", dtype=torch.bfloat16), random_samples(3), batch_tokens=60)
    assert states.dtype == torch.float32 and states.isfinite().all()


def test_infinite_states_are_refused():
    loaded = random_model("llama")
    loaded.model.model.layers[1].mlp.down_proj.weight[0, 0] = float("inf")
    with pytest.raises(UserError, match="infinite or NaN"):
        last_token_states(loaded, random_samples(2), batch_tokens=60)


def multiplied(loaded, first, last, alpha, scale_o):
    """A copy of the model whose weights, biases not, are multiplied where they should be."""
    model = copy.deepcopy(loaded.model)
    for p in projections(model):
        if first <= p.layer <= last and (scale_o or p.kind != "o"):
            p.write(p.read() * alpha)
    return model


@pytest.mark.parametrize(
    ("architecture", "scale_o"), [*((of, True) for of in claiming("safelayer")), ("phi3", False), ("phi", False)]
)
def test_scaled_layers_act_like_multiplied_weights(architecture, scale_o):
    loaded, ids = varied_model(architecture), torch.tensor([random_samples(1, shortest=9)[0].input_ids])
    for module in {p.module for p in projections(loaded.model) if p.module.bias is not None}:
        module.bias.normal_()
    for alpha, close in ((0.5, 0.0), (1.3, 1e-4)):
        expected = multiplied(loaded, 1, 1, alpha, scale_o)(ids).logits
        with scaled_layers(loaded.model, 1, 1, alpha, scale_o=scale_o):
            found = loaded.model(ids).logits
        # Halving is exact in binary, so there the two agree to the last bit.
        torch.testing.assert_close(found, expected, rtol=close, atol=close * float(expected.abs().max()))
        assert not torch.equal(found, loaded.model(ids).logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_scaling_leaves_the_model_as_it_was(family):
    loaded, ids = random_model(family), torch.tensor([random_samples(1)[0].input_ids])
    before, weights = loaded.model(ids).logits, copy.deepcopy(loaded.model.state_dict())
    with scaled_layers(loaded.model, 0, 1, 1.7):
        loaded.model(ids)
    with pytest.raises(RuntimeError, match="stop"), scaled_layers(loaded.model, 0, 1, 1.7):
        raise RuntimeError("stop")
    assert torch.equal(before, loaded.model(ids).logits)
    assert all(torch.equal(weights[k], v) for k, v in loaded.model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in loaded.model.modules())


def test_only_the_layers_of_the_range_and_o_if_wanted_are_scaled():
    loaded = random_model("llama", num_hidden_layers=4)
    for scale_o, kinds in (
        (True, {"q", "k", "v", "o", "gate", "up", "down"}),
        (False, {"q", "k", "v", "gate", "up", "down"}),
    ):
        with scaled_layers(loaded.model, 1, 2, 1.1, scale_o=scale_o):
            hooked = {p.name for p in projections(loaded.model) if p.module._forward_pre_hooks}
        assert hooked == {f"{layer}.{kind}" for layer in (1, 2) for kind in kinds}


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        ([0.0, 0.01, 0.1, 0.4, 0.6, 0.61, 0.62], (2, 5)),
        ([0.1, 0.2, 0.3, 0.4], (0, 3)),
        ([0.0, 0.0, 0.5, 0.5], (2, 3)),
        ([0.5, 0.5], (0, 1)),
        ([0.0, 0.5], (1, 1)),
        ([-0.3, -0.3, -0.2, 0.2, 0.2], (3, 4)),
        ([0.011, 0.011, 0.011, 0.5, 0.9], (3, 4)),
        ([0.2, -0.1, 0.0, 0.4, 0.6, 0.65], (0, 5)),
        ([0.02, 0.03, 0.02, 0.03, 0.5, 0.9, 0.95], (4, 6)),
        ([0.0, 0.0, 0.0], None),
        ([0.009, 0.0, 0.01], None),
        ([-0.2, -0.1, -0.05], None),
        ([-0.1, -0.2, -0.3], None),
    ],
)
def test_onset_and_smoothing_of_a_curve(gap, expected):
    assert onset_and_smoothing(np.array(gap), np.full(len(gap), 0.01)) == expected


def test_a_gap_begins_where_it_counts():
    """Layer 1 rises by more than a tenth of what layer 3 does, but by no more than chance does there."""
    gap, null = np.array([0.0, 0.2, 0.3, 1.0]), np.array([0.1, 0.25, 0.25, 0.25])
    assert onset_and_smoothing(gap, null) == (2, 3)
    assert onset_and_smoothing(gap, null * 10) is None


def test_scales_move_away_from_one_and_stay_positive():
    assert scales(0.1, 3, refuses=False) == [1.1, 1.2, 1.3]
    assert scales(0.4, 4, refuses=True) == [0.6, 0.2]


def search(table, onset, alphas=(1.1,), n_prompts=10, least_spread=0.1, refuses=False):
    """`find_range` in a model of four layers where the first `table(a, b, alpha)` prompts are refused."""
    return find_range(
        lambda *scaled: np.arange(n_prompts) < table(*scaled),
        onset,
        4,
        n_prompts,
        alphas,
        least_spread,
        refuses=refuses,
        seed=0,
    )


def test_range_is_the_best_upper_bound_and_then_the_best_lower_one():
    counts = {(1, 1): 2, (1, 2): 7, (1, 3): 4, (0, 2): 3, (2, 2): 8}
    found = search(lambda a, b, alpha: counts[a, b], 1)
    assert (found.first, found.last, found.alpha) == (2, 2, 1.1)
    assert found.upper.tolist() == [-1, 2, 7, 4]
    assert found.lower.tolist() == [3, 7, 8, -1]
    assert found.spread == pytest.approx(np.std([0.2, 0.7, 0.4]))


def test_lower_bound_may_lie_before_the_onset():
    found = search(lambda a, b, alpha: {3: 9}.get(b, 0) - abs(a - 1) if b == 3 else 1, 2)
    assert (found.first, found.last) == (1, 3)


def test_ties_give_the_smallest_range():
    found = search(lambda a, b, alpha: 5, 1, least_spread=0.01)
    assert (found.first, found.last) == (1, 1)


def test_a_model_that_refuses_is_searched_for_the_minimum():
    counts = {(1, 1): 8, (1, 2): 3, (1, 3): 3, (0, 2): 6, (2, 2): 3}
    found = search(lambda a, b, alpha: counts[a, b], 1, refuses=True)
    assert (found.first, found.last) == (2, 2)


def test_the_first_scale_with_enough_spread_is_used():
    def table(a, b, alpha):
        return round(10 * (alpha - 1) * b)

    tried = search(table, 1, alphas=(1.1, 1.2, 1.3, 1.4), least_spread=0.16)
    assert tried.alpha == 1.2 and tried.upper.tolist() == [-1, 2, 4, 6]
    assert tried.spread == pytest.approx(np.std([0.2, 0.4, 0.6]))


def test_without_enough_spread_the_last_scale_is_used():
    found = search(lambda a, b, alpha: 1, 0, alphas=(1.1, 1.2))
    assert (found.alpha, found.spread) == (1.2, 0.0)


def literal_alike(above, below, n_draws, seed):
    """The rule on every draw of prompts, one by one; bounds of the highest count, the first of equal ones."""
    n = len(above[0])
    draws = np.random.Generator(np.random.PCG64(seed)).multinomial(n, np.full(n, 1 / n), n_draws)

    def bounds(times):
        return [max(range(len(of)), key=lambda i: (sum(of[i] * times), -i)) for of in (above, below)]

    return np.mean([bounds(times) == bounds(np.ones(n)) for times in draws])


def test_share_alike_is_that_of_draws_with_the_same_bounds():
    generator = np.random.default_rng(3)
    above, below = (generator.random((4, 12)) < share for share in (0.4, 0.6))
    found = share_alike(above.astype(int), below.astype(int), 0.0, 5)
    assert found == pytest.approx(literal_alike(above, below, 1000, 5))
    assert 0 < found < 0.9


def test_one_refusal_more_is_a_range_by_chance_and_ten_are_not():
    """Of twelve prompts: the best bound has one refusal more than the others, or ten."""
    one = np.zeros((6, 12), int)
    one[2, :4] = one[3, 4:9] = 1
    clear = np.zeros((6, 12), int)
    clear[3, :11] = clear[2, :1] = 1
    assert share_alike(one, one[:1], 0.0, 0) < 0.7
    assert share_alike(clear, clear[:1], 0.0, 0) > 0.99


def test_ranges_of_too_little_spread_are_alike_if_the_draws_spread_too_little_too():
    flat = np.ones((3, 12), int)
    assert share_alike(flat, flat, 0.1, 0) == 1.0
    near = np.zeros((2, 12), int)
    near[1, :4] = 1
    # The spread is 4/12 / 2 on average; in about half of the draws it is below that.
    assert 0.3 < share_alike(near, near[:1], 0.17, 0) < 0.7


def literal_count(loaded, prompts, options, a, b, alpha):
    model = copy.copy(loaded)
    object.__setattr__(model, "model", multiplied(loaded, a, b, alpha, options.scale_o_proj))
    return sum(is_refusal(answer.text) for answer in generate(model, prompts, options.max_new_tokens))


def shifted(seed):
    """Prompts of one token again and again: those of another seed are of another token."""
    draw = np.random.default_rng(seed)
    return [Sample(str(i), (*[9 + 20 * seed] * 6, *draw.integers(5, 9, 2).tolist()), 7) for i in range(8)]


OPTIONS = SafeLayer(max_new_tokens=3, alpha_steps=2, least_spread=0.2, n_permutations=199)
CUT = Cut((0.01, 0.05, 0.2), "matrix")


@pytest.fixture
def refuse_if_even(monkeypatch):
    """Random models write noise, so noise with an even sum of letters stands for a refusal here."""
    monkeypatch.setattr(safelayer, "is_refusal", lambda text: sum(map(ord, text)) % 2 == 0)
    monkeypatch.setitem(globals(), "is_refusal", safelayer.is_refusal)


@pytest.mark.parametrize("scale_o_proj", [True, False])
def test_statistics_hold_what_the_definition_gives(refuse_if_even, scale_o_proj):
    loaded, options = (
        random_model("llama", num_hidden_layers=3),
        OPTIONS.model_copy(update={"scale_o_proj": scale_o_proj}),
    )
    samples, normal = shifted(0), shifted(1)
    found = measure(loaded, samples, options, batch_tokens=60, normal=normal, over_rejection=PROMPTS)
    states = literal_states(loaded, samples)
    torch.testing.assert_close(found["states"], states, rtol=1e-5, atol=1e-5)
    gap = measure_gap(literal_states(loaded, normal).numpy(), states.numpy(), options.n_permutations, options.seed)
    np.testing.assert_allclose(found["gap"].numpy(), gap.gap, atol=1e-5)
    np.testing.assert_allclose(found["null"].numpy(), gap.null, atol=1e-5)
    onset, smoothing = onset_and_smoothing(gap.gap, gap.null)
    assert found["initial"].tolist() == [onset, smoothing]
    alpha, (first, last) = float(found["alpha"]), found["range"].tolist()
    for b in range(onset, 3):
        assert found["upper"][b] == literal_count(loaded, PROMPTS, options, onset, b, alpha)
    for a in range(last + 1):
        assert found["lower"][a] == literal_count(loaded, PROMPTS, options, a, last, alpha)
    assert found["baseline"] == literal_count(loaded, PROMPTS, options, 0, 2, 1.0)
    best = torch.min if 2 * found["baseline"] >= len(PROMPTS) else torch.max
    assert (alpha < 1) == (best is torch.min)
    assert found["upper"][last] == best(found["upper"][onset:]) and found["lower"][first] == best(
        found["lower"][: last + 1]
    )
    assert found["n_over_rejection"] == len(PROMPTS)


def test_where_scaling_says_nothing_the_range_is_the_one_of_the_gap(refuse_if_even):
    loaded, options = random_model("llama", num_hidden_layers=3), OPTIONS.model_copy(update={"least_spread": 1.0})
    found = measure(loaded, shifted(0), options, batch_tokens=60, normal=shifted(1), over_rejection=PROMPTS)
    assert found["spread"] < 1.0
    assert found["range"].tolist() == found["initial"].tolist() != [-1, -1]


def test_statistics_go_through_a_file_and_back(tmp_path):
    from safetensors.torch import load_file, save_file

    loaded, samples = random_model("llama"), random_samples(4)
    found = measure(loaded, samples, OPTIONS, batch_tokens=60, normal=random_samples(4, 1), over_rejection=PROMPTS)
    save_file(found, tmp_path / "x.safetensors")
    again = load_file(tmp_path / "x.safetensors")
    assert set(again) == set(found) and all(torch.equal(again[k], v) for k, v in found.items())


def test_sets_of_one_model_share_the_counts(monkeypatch):
    loaded, calls = random_model("llama"), []
    monkeypatch.setattr(
        safelayer, "generate", lambda *args, **rest: calls.append(rest["doing"]) or generate(*args, **rest)
    )
    needs = {"batch_tokens": 60, "normal": shifted(1), "over_rejection": PROMPTS}
    first = measure(loaded, shifted(0), OPTIONS, **needs)
    assert len(calls) == len(set(calls)) > 1
    n_calls = len(calls)
    second = measure(loaded, shifted(0), OPTIONS, **needs)
    assert len(calls) == n_calls
    assert all(torch.equal(first[k], second[k]) for k in first)
    measure(random_model("llama"), shifted(0), OPTIONS, **needs)
    assert len(calls) == 2 * n_calls


def test_the_normal_set_itself_has_a_curve_and_no_region():
    """Whatever the gap of its other prompts is."""
    loaded = random_model("llama", num_hidden_layers=3)
    needs = {"batch_tokens": 60, "normal": shifted(1), "over_rejection": PROMPTS}
    other, own = (measure(loaded, shifted(0), OPTIONS, is_normal=of, **needs) for of in (False, True))
    assert other["range"].tolist() != [-1, -1] and torch.equal(other["gap"], own["gap"])
    assert own["range"].tolist() == own["initial"].tolist() == [-1, -1] and own["alike"] == -1
    assert not any(level.any() for _, level in levels(loaded, own, OPTIONS, CUT))
    assert [facts(of)["curves"]["is_normal"] for of in (other, own)] == [0, 1]


def test_facts_are_all_but_the_states_to_a_millionth_of_a_radian():
    angles = torch.rand(6, dtype=torch.float64)
    found = dict.fromkeys(("gap", "null"), angles) | dict.fromkeys(("p_value", "spread", "alike"), angles[0])
    said = facts(found | {"range": torch.tensor([1, 2]), "states": torch.zeros(2, 2)})["curves"]
    assert said.keys() == {*found, "range"} and said["range"] == [1, 2]
    for name, values in found.items():
        assert said[name] == pytest.approx(values.tolist(), abs=5.1e-7)
        assert {len(f"{value:.15f}".rstrip("0")) for value in np.ravel(said[name])} <= {*range(2, 9)}


def test_a_set_like_the_normal_one_has_no_region():
    loaded, samples = random_model("llama"), [Sample(str(i), (5, 6, 7), 2) for i in range(4)]
    found = measure(loaded, samples, OPTIONS, batch_tokens=60, normal=samples, over_rejection=PROMPTS)
    assert found["range"].tolist() == found["initial"].tolist() == [-1, -1]
    assert set(found["upper"].tolist()) | set(found["lower"].tolist()) == {-1}
    assert not any(level.any() for _, level in levels(loaded, found, OPTIONS, CUT))


def test_levels_are_full_inside_the_range_and_zero_outside():
    loaded = random_model("llama", num_hidden_layers=4)
    statistics = {"range": torch.tensor([1, 2]), "gap": torch.zeros(4)}
    found = dict(levels(loaded, statistics, OPTIONS, CUT))
    assert list(found) == ["0.layer", "1.layer", "2.layer", "3.layer"]
    assert all(level.shape == (1, 1) and level.dtype == np.uint8 for level in found.values())
    assert [int(level[0, 0]) for level in found.values()] == [0, 3, 3, 0]


def test_too_few_prompts_are_refused():
    needs = {"batch_tokens": 60, "normal": random_samples(1), "over_rejection": PROMPTS}
    with pytest.raises(UserError, match="1 normal"):
        measure(random_model("llama"), random_samples(2), OPTIONS, **needs)
