"""Taking regions out of models, random controls, and what the models then do."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text
from random_models import FAMILIES, random_model, random_samples

from safety_regions import evaluation, receipts, store
from safety_regions.ablate import ablated, random_like, without_entries
from safety_regions.config.evaluate import Evaluate
from safety_regions.errors import UserError
from safety_regions.evaluation import perplexity, removes_more
from safety_regions.expand import expand, layout_of, own_shapes, unpack
from safety_regions.figures.evaluate import draw_evaluation, drawn_table, write_evaluation
from safety_regions.jobs import Entry
from safety_regions.models.adapter import LoraAdapter, adapted, named_linears, save_lora, with_lora
from safety_regions.models.architecture import projections
from safety_regions.models.folder import save
from safety_regions.models.tokens import encode_pair
from safety_regions.regions import pack, write_region
from safety_regions.responses import Answer
from safety_regions.select import Cut
from safety_regions.steps import evaluate as step
from safety_regions.steps.evaluate import COLUMNS, evaluate_regions

IDS = torch.tensor([[5, 9, 30, 200, 17]])


def random_masks(shapes, share, seed=0):
    random = np.random.default_rng(seed)
    return {name: random.random(shape) < share for name, shape in shapes.items()}


def packed(masks):
    return lambda own: pack(masks[own])


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_bits(model, before):
    # Compared as integers, so that -0.0 and 0.0 count as different.
    return all(torch.equal(t.view(torch.int16), before[n].view(torch.int16)) for n, t in model.state_dict().items())


@pytest.mark.parametrize("replace", ["zero", "mean"])
@pytest.mark.parametrize("family", FAMILIES)
def test_ablated_model_equals_a_copy_with_edited_weights(family, replace):
    loaded = random_model(family)
    masks = random_masks(layout_of(loaded.model).shapes, 0.2)
    edited = copy.deepcopy(loaded.model)
    for p in projections(edited):
        rows = p.module.weight.data[p.start : p.stop]
        mean = rows.double().mean()
        for i, j in np.argwhere(masks[p.name]):
            rows[i, j] = 0 if replace == "zero" else mean
    before = state(loaded.model)
    with ablated(projections(loaded.model), packed(masks), replace) as n:
        torch.testing.assert_close(dict(loaded.model.named_parameters()), dict(edited.named_parameters()))
        torch.testing.assert_close(loaded.model(IDS).logits, edited(IDS).logits)
        assert n == sum(int(mask.sum()) for mask in masks.values())
    assert same_bits(loaded.model, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_come_back_bit_for_bit_after_an_exception(dtype):
    loaded = random_model("phi3", dtype=dtype)
    masks = random_masks(layout_of(loaded.model).shapes, 0.5)
    before = state(loaded.model)
    with pytest.raises(KeyboardInterrupt), ablated(projections(loaded.model), packed(masks), "zero"):
        assert not same_bits(loaded.model, before)
        raise KeyboardInterrupt
    assert same_bits(loaded.model, before)
    masks.pop("1.down")
    with pytest.raises(KeyError), ablated(projections(loaded.model), packed(masks), "zero"):
        pass
    assert same_bits(loaded.model, before)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("neurons", "halves"), [("v", ("v", "o")), ("ffn", ("up", "down"))])
def test_a_neuron_owns_the_columns_that_it_feeds(family, neurons, halves):
    """What it writes is read nowhere else: without its row, or without its columns, the model computes the same."""
    loaded = random_model(family)
    layout = layout_of(loaded.model)
    own = random_masks(own_shapes("neuron", layout), 0.3)
    chosen = {name: mask & name.endswith(neurons) for name, mask in own.items()}
    logits = []
    for half in halves:
        nothing = {name: np.zeros(shape, bool) for name, shape in layout.shapes.items()}
        masks = lambda name, half=half, nothing=nothing: expand(name, packed(chosen), "neuron", layout) if name.endswith(f".{half}") else pack(nothing[name])  # noqa: E731 # fmt: skip
        with ablated(projections(loaded.model), masks, "zero"):
            logits.append(loaded.model(IDS).logits)
    torch.testing.assert_close(*logits)
    assert not torch.allclose(logits[0], loaded.model(IDS).logits)


def random_adapter(model, rank=3):
    torch.manual_seed(1)
    shapes = {name: module.weight.shape for name, module in named_linears(model).items()}
    return LoraAdapter(2.0, {name: (torch.randn(rank, n_in) / 4, torch.randn(n_out, rank) / 4) for name, (n_out, n_in) in shapes.items()})  # fmt: skip


@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize("replace", ["zero", "mean"])
@pytest.mark.parametrize("family", ["llama", "phi3"])
def test_adapter_without_entries_equals_the_formula(family, replace, merged):
    loaded = random_model(family)
    adapter = random_adapter(loaded.model)
    masks = random_masks({f"{n}_{f}": x.shape for n, pair in adapter.factors.items() for f, x in zip("ab", pair, strict=True)}, 0.3)  # fmt: skip
    spared = next(iter(adapter.factors))
    masks |= {f"{spared}_{factor}": np.zeros_like(masks[f"{spared}_{factor}"]) for factor in "ab"}
    before = state(loaded.model)
    expected = {}
    for name, module in named_linears(loaded.model).items():
        whole, left = [], []
        for factor, matrix in zip("ab", adapter.factors[name], strict=True):
            edited = matrix.clone()
            edited[torch.from_numpy(masks[f"{name}_{factor}"])] = 0 if replace == "zero" else matrix.mean()
            whole.append(matrix)
            left.append(edited)
        change = 2.0 * left[1] @ left[0] - (2.0 * whole[1] @ whole[0] if merged else 0)
        expected[name] = module.weight + change
    with adapted(loaded, without_entries(adapter, packed(masks), replace, merged=merged)):
        for name, module in named_linears(loaded.model).items():
            torch.testing.assert_close(module.weight.data, expected[name], rtol=1e-5, atol=1e-5)
            assert torch.equal(module.weight, expected[name]) or name != spared or not merged
    assert same_bits(loaded.model, before)


SHAPES = {"0.q": (7, 9), "0.down": (5, 30), "1.q": (7, 9)}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_random_controls_have_the_region_s_sizes_and_avoid_what_is_forbidden(share):
    utility = random_masks(SHAPES, 0.4, seed=1)
    region = {name: mask & ~utility[name] for name, mask in random_masks(SHAPES, share).items()}
    drawn = []
    for seed in range(3):
        control = random_like(packed(region), SHAPES, "weight", packed(utility), f"{seed}/a/refined")
        masks = {name: unpack(control(name), shape) for name, shape in SHAPES.items()}
        assert {n: int(m.sum()) for n, m in masks.items()} == {n: int(m.sum()) for n, m in region.items()}
        assert not any((masks[name] & utility[name]).any() for name in SHAPES)
        drawn.append(tuple(masks[name].tobytes() for name in SHAPES))
    assert len(set(drawn)) == (1 if share == 0 else 3)
    again = random_like(packed(region), SHAPES, "weight", packed(utility), "0/a/refined")
    backward = {name: unpack(again(name), SHAPES[name]).tobytes() for name in reversed(SHAPES)}
    assert drawn[0] == tuple(backward[name] for name in SHAPES)


def test_random_controls_are_uniform_over_what_is_open():
    shapes, region = {"0.q": (2, 5)}, {"0.q": np.arange(10).reshape(2, 5) < 2}
    utility = {"0.q": np.arange(10).reshape(2, 5) >= 8}
    held = sum(unpack(random_like(packed(region), shapes, "neuron", packed(utility), str(seed))("0.q"), (2, 5)) for seed in range(200))  # fmt: skip
    assert held.reshape(-1)[8:].tolist() == [0, 0]
    np.testing.assert_allclose(held.reshape(-1)[:8] / 200, 2 / 8, atol=0.1)


def layers_of(control, n):
    return [i for i in range(n) if control(f"{i}.layer").any()]


def as_layers(chosen, n):
    return packed({f"{i}.layer": np.array([[i in chosen]]) for i in range(n)})


@pytest.mark.parametrize(
    ("region", "forbidden", "possible"),
    [
        ({1, 2}, set(), [[0, 1], [2, 3], [3, 4]]),
        ({0, 1, 2, 3, 4}, set(), [[0, 1, 2, 3, 4]]),
        ({1, 2}, {0}, [[2, 3], [3, 4]]),
        ({1, 2}, {0, 3, 4}, [[1, 2]]),
        ({0, 2}, {1, 4}, [[2, 3]]),
        ({0, 4}, {2}, [[0, 1], [3, 4]]),
        ({0, 2, 4}, {1, 3}, [[0, 2, 4]]),
        (set(), {1}, [[]]),
    ],
)
def test_random_layers_are_another_range_of_the_same_length(region, forbidden, possible):
    names = {f"{i}.layer": (1, 1) for i in range(5)}
    real, closed = as_layers(region, 5), as_layers(forbidden, 5) if forbidden else None
    found = {tuple(layers_of(random_like(real, names, "layer", closed, str(seed)), 5)) for seed in range(40)}
    assert found == {tuple(layers) for layers in possible}


@pytest.mark.parametrize("family", FAMILIES)
def test_perplexity_equals_the_loop(family, monkeypatch):
    loaded, samples = random_model(family), random_samples(6)
    monkeypatch.setattr(evaluation, "BATCH_TOKENS", 50)
    losses = []
    for sample in samples:
        logits = loaded.model(torch.tensor([sample.input_ids])).logits[0].double()
        for position in range(sample.n_prompt, len(sample.input_ids)):
            losses.append(-float(logits[position - 1].log_softmax(-1)[sample.input_ids[position]]))
    assert perplexity(loaded, samples) == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-5)


def test_rates_are_shares_of_the_prompts_of_each_kind(monkeypatch):
    answers = {"a": "I can't help with that.", "b": "Sure, here it is.", "c": "I won't do this.", "d": "Of course.", "e": "Yes."}  # fmt: skip
    generate = lambda loaded, prompts, n, doing: [Answer(answers[p], True) for p in prompts]  # noqa: E731
    monkeypatch.setattr(evaluation, "generate", generate)
    monkeypatch.setattr(evaluation, "perplexity", lambda loaded, samples: 7.0)
    found = evaluation.evaluate(random_model("llama"), evaluation.Questions(["a", "b"], ["c", "d", "e"], []), 4)
    assert found == evaluation.Evaluation(0.5, 1 / 3, 7.0, 2, 3)


@pytest.mark.parametrize(
    ("intact", "region", "controls", "expected"),
    [(0.9, 0.2, [0.8, 0.5], True), (0.9, 0.5, [0.8, 0.5], False), (0.9, 0.6, [0.8, 0.5], False), (0.5, 0.6, [0.7, 0.8], False), (0.9, 0.9, [1.0, 1.0], False)],
)  # fmt: skip
def test_verdict_asks_for_a_drop_larger_than_that_of_every_control(intact, region, controls, expected):
    assert removes_more(intact, region, controls) is expected


GRID = (0.1, 0.3)
OPTIONS = {"n_random": 2, "max_new_tokens": 3, "seed": 5}


def write_prompts(path, n, response):
    store.write_jsonl(path, [{"id": f"{path.stem}-{i}", "prompt": f"{path.stem} {i}", "response": response} for i in range(n)])  # fmt: skip
    return receipts.write(path, {"kind": "prompts", "set": path.stem}, {}).digest


def write_levels(path, shapes, granularity, levels):
    of = {"kind": "region", "path": path.name}
    write_region(path, ((n, levels(n, s)) for n, s in shapes.items()), recipe_digest=receipts.recipe_digest(of), cut=Cut(GRID, "matrix"), granularity=granularity)  # fmt: skip
    return receipts.write(path, of, {}).digest


class Case:
    """One model, region files of sets `a` and `b` (which the utility region of `u` holds whole), prompts, and the recipe."""

    def __init__(self, folder, granularity, adapter=None):
        self.folder, self.granularity = folder, granularity
        folder.mkdir()
        self.loaded = random_model("phi3" if granularity == "weight" else "llama", num_hidden_layers=2 if granularity == "layer" else 1)  # fmt: skip
        self.inputs, self.recipe = {"model": folder / "model"}, {"kind": "evaluate", "version": 1, "method": granularity, "q": 0.3, "p": 0.1, "options": OPTIONS}  # fmt: skip
        (folder / "model").mkdir()
        shapes = self.save_with_adapter(adapter) if adapter else own_shapes(granularity, layout_of(self.loaded.model))
        if not adapter:
            save(self.loaded.model, self.loaded.tokenizer, folder / "model")
        self.recipe["model"] = receipts.write(folder / "model", {"kind": "model", "dtype": "float32"}, {}).digest
        if adapter:
            self.inputs["adapter"] = folder / ("model" if adapter == "merged" else "adapter")
            self.recipe["adapter"] = receipts.read(self.inputs["adapter"]).digest
        self.write_regions(shapes)
        for role, n, response in (("harmful", 5, None), ("over_refusal", 4, None), ("texts", 3, "fine words")):
            self.inputs[f"{role}/{role}"] = folder / f"{role}.jsonl"
            self.recipe[role] = [[role, write_prompts(folder / f"{role}.jsonl", n, response)]]

    def save_with_adapter(self, adapter):
        torch.manual_seed(2)
        shapes = {f"{n}_{f}": s for n, m in named_linears(self.loaded.model).items() for f, s in zip("ab", ((2, m.in_features), (m.out_features, 2)), strict=True)}  # fmt: skip
        own = copy.deepcopy(self.loaded.model)
        peft_model = with_lora(own, 2, 4.0)
        for name, weight in peft_model.named_parameters():
            if "lora_" in name:
                weight.data.normal_(0, 0.3)
        parameters = {
            n.split("layers.")[1]: w.detach().clone() for n, w in peft_model.named_parameters() if "lora_" in n
        }
        self.factors = {}
        for name in named_linears(self.loaded.model):
            layer, kind = name.split(".")
            found = {n.split("lora_")[1][0]: w for n, w in parameters.items() if n.startswith(f"{layer}.") and f".{kind}_proj." in n}  # fmt: skip
            self.factors[name] = found["A"], found["B"]
        (self.folder / "adapter").mkdir()
        save_lora(peft_model, self.folder / "model" if adapter == "merged" else self.folder / "adapter")
        receipts.write(self.folder / "adapter", {"kind": "adapter"}, {})
        merged = peft_model.merge_and_unload()
        save(merged if adapter == "merged" else self.loaded.model, self.loaded.tokenizer, self.folder / "model")
        return shapes

    def write_regions(self, shapes):
        masks = random_masks(shapes, 0.3, seed=3)
        if self.granularity == "layer":
            masks = {"0.layer": np.array([[True]]), "1.layer": np.array([[False]])}
        self.masks, self.utility = masks, {n: m & (np.arange(m.size).reshape(m.shape) % 2 > 0) for n, m in masks.items()}  # fmt: skip
        levels = {
            "a": lambda n, s: masks[n].astype(np.uint8),
            "b": lambda n, s: 2 * self.utility[n].astype(np.uint8),
            "u": lambda n, s: 2 * self.utility[n].astype(np.uint8),
        }
        digests = {}
        for name, of in levels.items():
            self.inputs[f"region/{name}"] = self.folder / f"{name}.region"
            digests[name] = write_levels(self.folder / f"{name}.region", shapes, self.granularity, of)
        self.recipe |= {"safety": [["a", digests["a"]], ["b", digests["b"]]], "utility": [["u", digests["u"]]]}

    def entry(self, output, inputs):
        return Entry(str(self.folder / output), self.recipe, {role: str(path) for role, path in inputs.items()})

    def run(self, output="out", known=None):
        evaluate_regions(self.entry(output, self.inputs), "cpu", known)
        return pd.read_csv(self.folder / output / "evaluate.csv")


CASES = [("weight", None), ("neuron", None), ("layer", None), ("adapter", "merged"), ("adapter", "separate")]


def parity(text):
    """Random models say random things; whatever has an even sum of bytes stands for a refusal."""
    return sum(text.encode()) % 2 == 0


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(filter(None, case)))
def case(request, tmp_path_factory):
    """A case that was run once: its `table` is what the step wrote."""
    case = Case(tmp_path_factory.mktemp("evaluate") / "case", *request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "is_refusal", parity)
        case.table = case.run()
    return case


def literal_model(case, mask):
    """A copy of the model without what the mask's elements own, its weights edited one by one."""
    model = copy.deepcopy(case.loaded.model)
    if case.granularity == "adapter":
        for name, (a, b) in case.factors.items():
            left = [x.masked_fill(torch.from_numpy(mask[f"{name}_{f}"]), 0) for f, x in (("a", a), ("b", b))]
            named_linears(model)[name].weight.data += 2.0 * left[1] @ left[0]
        return model
    layout = layout_of(model)
    for p in projections(model):
        owned = unpack(expand(p.name, packed(mask), case.granularity, layout), p.shape)
        p.module.weight.data[p.start : p.stop][torch.from_numpy(owned)] = 0
    return model


def test_step_measures_each_condition_as_a_copy_of_the_model_does(case, monkeypatch):
    monkeypatch.setattr(evaluation, "is_refusal", parity)
    table = case.table[case.table["set"] == "a"].set_index("condition")
    prompts = {role: [row["prompt"] for row in store.read_jsonl(case.folder / f"{role}.jsonl")] for role in ("harmful", "over_refusal")}  # fmt: skip
    texts = [encode_pair(case.loaded.tokenizer, f"texts {i}", "fine words", eos_ids=(1,), id=str(i)) for i in range(3)]
    questions = evaluation.Questions(prompts["harmful"], prompts["over_refusal"], texts)
    nothing = {name: np.zeros_like(mask) for name, mask in case.masks.items()}
    refined = {name: mask & ~case.utility[name] for name, mask in case.masks.items()}
    for condition, mask in (("intact", nothing), ("raw", case.masks), ("refined", refined)):
        loaded = type(case.loaded)(literal_model(case, mask), case.loaded.tokenizer, None, (1,))
        expected = evaluation.evaluate(loaded, questions, OPTIONS["max_new_tokens"])
        row = table.loc[condition]
        assert (row.refusal_rate, row.over_refusal_rate) == (expected.refusal_rate, expected.over_refusal_rate)
        assert row.perplexity == pytest.approx(expected.perplexity, rel=1e-4)
        assert row.share == pytest.approx(sum(m.sum() for m in mask.values()) / sum(m.size for m in mask.values()))
    assert table.perplexity.nunique() >= (3 if case.granularity != "layer" else 2)


def test_step_s_table_has_every_condition_and_random_regions_of_the_same_share(case):
    table = case.table
    assert list(table.columns) == COLUMNS
    expected = ["intact", "raw", "random_raw", "random_raw", "refined", "random_refined", "random_refined"]
    for name in ("a", "b"):
        rows = table[table["set"] == name]
        assert rows["condition"].tolist() == expected
        assert rows["seed"].dropna().tolist() == [5, 6, 5, 6]
        for stage in ("raw", "refined"):
            assert rows[rows["condition"].str.endswith(stage)]["share"].nunique() == 1
    assert (table["n_harmful"].eq(5) & table["n_harmless"].eq(4)).all()
    receipt = receipts.check(case.folder / "out")
    verdicts = table.dropna(subset="removes_more_than_random").set_index(["set", "condition"])
    for (name, stage), row in verdicts.iterrows():
        controls = table[(table["set"] == name) & (table["condition"] == f"random_{stage}")]["refusal_rate"]
        intact = table[(table["set"] == name) & (table["condition"] == "intact")]["refusal_rate"].iloc[0]
        wanted = row["refusal_rate"] < intact and (row["refusal_rate"] < controls).all()
        assert receipt.facts["removes_more_than_random"][name][stage] == row["removes_more_than_random"] == wanted
    assert len(verdicts) == 4


def test_an_empty_refined_region_changes_nothing(case):
    rows = case.table[case.table["set"] == "b"].set_index("condition")
    for condition in ("refined", "random_refined"):
        for _, row in rows.loc[[condition]].iterrows():
            assert row["share"] == 0 and not row["removes_more_than_random"] > 0
            for column in ("refusal_rate", "over_refusal_rate", "perplexity"):
                assert row[column] == rows.loc["intact", column]


@pytest.mark.parametrize("case", [("adapter", "separate")], indirect=True)
def test_an_intact_model_that_is_known_is_not_asked_again(case, monkeypatch):
    monkeypatch.setattr(evaluation, "is_refusal", parity)
    known, calls, asked = {}, [], evaluation.evaluate
    monkeypatch.setattr(step, "evaluate", lambda *args: calls.append(1) or asked(*args))
    for output in ("first", "second"):
        pd.testing.assert_frame_equal(case.run(output, known), case.table)
    n = sum(case.table["share"] > 0)
    assert len(calls) == 2 * n + 1 and len(known) == 1
    assert receipts.check(case.folder / "second") == receipts.check(case.folder / "out")


def test_missing_and_foreign_inputs_are_named(tmp_path):
    case = Case(tmp_path / "case", "neuron")
    for role in ("texts/texts", "region/u", "harmful/harmful"):
        inputs = {r: path for r, path in case.inputs.items() if r != role}
        with pytest.raises(UserError, match=role):
            evaluate_regions(case.entry("out", inputs), "cpu")
    case.recipe["texts"] = [["texts", write_prompts(case.inputs["texts/texts"], 2, None)]]
    with pytest.raises(UserError, match="no response of the set's own"):
        case.run()


def test_defaults_are_a_valid_section():
    assert Evaluate.model_validate({}) == Evaluate()
    with pytest.raises(ValueError, match="n_random"):
        Evaluate(n_random=0)


def figure_rows(model, method, perplexity=3.0):
    """What could be two sets' evaluate.csv, with the region of the second without effect."""
    rows = []
    for name, rate in (("a", 0.2), ("b", 0.9)):
        for condition, seed, refusal in [("intact", None, 0.9), ("raw", None, rate), ("random_raw", 0, 0.8), ("random_raw", 1, 0.9), ("refined", None, 0.5), ("random_refined", 0, 0.7), ("random_refined", 1, 0.9)]:  # fmt: skip
            rows.append({"model": model, "method": method, "set": name, "condition": condition, "seed": seed, "share": 0.05, "share_of_weights": 0.05, "refusal_rate": refusal, "over_refusal_rate": 0.1, "perplexity": 2.0 if condition == "intact" else perplexity, "n_harmful": 16, "n_harmless": 8})  # fmt: skip
    return rows


@pytest.mark.parametrize("perplexity", [3.0, 1e6, math.inf])
def test_figure_draws_the_means_over_sets(perplexity):
    table = pd.DataFrame([row for model in ("m", "n") for method in ("snip", "safelayer") for row in figure_rows(model, method, perplexity)])  # fmt: skip
    drawn = drawn_table(table)
    means = drawn.fillna({"seed": -1}).set_index(["model", "method", "condition", "seed"])
    assert len(drawn) == 4 * 7
    assert means.loc[("m", "snip", "raw", -1), "refusal_rate"] == pytest.approx(0.55)
    assert means.loc[("n", "safelayer", "random_raw", 1), "refusal_rate"] == pytest.approx(0.9)
    assert means.loc[("m", "snip", "raw", -1), "perplexity_ratio"] == perplexity / 2
    figure = draw_evaluation(drawn, table)
    figure.draw_without_rendering()
    text = " ".join(t.get_text() for t in figure.findobj(Text))
    for part in ("m  snip", "n  safelayer", "Intact model", "regions of a, b (mean)", "16 harmful", "2 random regions"):
        assert part in text
    assert "nan" not in text


def test_figure_is_written_with_its_numbers_and_the_whole_table(tmp_path):
    table = pd.DataFrame(figure_rows("m", "snip"))
    write_evaluation(table, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evaluate.csv", "evaluate.pdf", "evaluate.png", "evaluate_sets.csv"]  # fmt: skip
    assert len(pd.read_csv(tmp_path / "evaluate_sets.csv")) == len(table)
