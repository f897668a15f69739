"""The step that evaluates regions: its table is what copies of the model do, with every condition and control."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from evaluate_case import OPTIONS, Case, write_prompts
from random_masks import header_for, packed

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.config.evaluate import Evaluate
from safety_regions.errors import UserError
from safety_regions.evaluation import table
from safety_regions.evaluation.table import COLUMNS, OUTCOME_COLUMNS
from safety_regions.models import behaviour
from safety_regions.models.adapter import named_linears
from safety_regions.models.architecture import layout_of, projections
from safety_regions.models.outcomes import Outcome
from safety_regions.models.tokens import encode_pair
from safety_regions.regions.masks import unpack
from safety_regions.regions.owned_weights import expand
from safety_regions.steps.evaluate import evaluate_regions

CASES = [("weight", None), ("neuron", None), ("layer", None), ("adapter", "merged"), ("adapter", "separate")]


def by_bytes(text, prompt):
    """Random models say random things: the sum of the bytes stands for what they mean."""
    return list(Outcome)[sum(text.encode()) % len(Outcome)]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(filter(None, case)))
def case(request, tmp_path_factory):
    """A case that was run once: its `table` is what the step wrote."""
    case = Case(tmp_path_factory.mktemp("evaluate") / "case", *request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(behaviour, "outcome_of", by_bytes)
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
        header = header_for(case.granularity, {name: of.shape for name, of in mask.items()})
        owned = unpack(expand(p.name, packed(mask), header, layout), p.shape)
        p.write(p.read().masked_fill(torch.from_numpy(owned), 0))
    return model


def test_step_measures_each_condition_as_a_copy_of_the_model_does(case, monkeypatch):
    monkeypatch.setattr(behaviour, "outcome_of", by_bytes)
    table = case.table[(case.table["set"] == "a") & ~case.table["dose"].eq(0.1)].set_index("condition")
    prompts = {
        role: [
            behaviour.Prompt(role, row["id"], row["prompt"]) for row in files.read_jsonl(case.folder / f"{role}.jsonl")
        ]
        for role in ("harmful", "over_refusal")
    }
    texts = [encode_pair(case.loaded.tokenizer, f"texts {i}", "fine words", eos_ids=(1,), id=str(i)) for i in range(3)]
    questions = behaviour.Questions(prompts["harmful"], prompts["over_refusal"], texts)
    nothing = {name: np.zeros_like(mask) for name, mask in case.masks.items()}
    refined = {name: mask & ~case.utility[name] for name, mask in case.masks.items()}
    for condition, mask in (("intact", nothing), ("raw", case.masks), ("refined", refined)):
        loaded = type(case.loaded)(literal_model(case, mask), case.loaded.tokenizer, None, (1,))
        expected = behaviour.evaluate(loaded, questions, OPTIONS["max_new_tokens"])
        row = table.loc[condition]
        for column, rate in expected.rates().items():
            assert row[column] == (pytest.approx(rate, rel=1e-4) if column == "perplexity" else rate)
        assert row.share == pytest.approx(sum(m.sum() for m in mask.values()) / sum(m.size for m in mask.values()))
    assert table.perplexity.nunique() >= (3 if case.granularity != "layer" else 2)


def test_step_s_table_has_every_condition_at_every_dose_and_the_controls_of_refined_regions(case):
    table = case.table
    assert list(table.columns) == COLUMNS
    is_layer = case.granularity == "layer"
    matched = [] if is_layer else ["magnitude", "perplexity"]
    for name in ("a", "b"):
        rows = table[table["set"] == name]
        assert rows["condition"].iloc[0] == "intact" and np.isnan(rows["dose"].iloc[0])
        assert rows["dose"].dropna().unique().tolist() == ([0.3] if is_layer else [0.1, 0.3])
        for dose, of_dose in rows.groupby("dose"):
            # Two random regions at q, and elsewhere one.
            n_random = 2 if dose == 0.3 else 1
            expected = ["raw", "refined", *["random"] * n_random, *matched, "utility", "harmless"]
            shares = of_dose.set_index("condition")["share"]
            # The refined region of b is empty: there is nothing to hold that of harmless prompts against.
            wanted = expected if shares["refined"] else ["raw", "refined", *["random"] * n_random, "utility"]
            if is_layer and shares["refined"]:
                # The utility region of this case has no layer.
                wanted = [condition for condition in expected if condition != "utility"]
            assert of_dose["condition"].tolist() == wanted
            for condition in {"random", "magnitude"} & set(shares.index):
                assert (shares.loc[[condition]] == shares["refined"]).all()
            assert shares.get("utility", 0) <= shares["refined"]
            if shares["refined"]:
                assert 0 < shares["harmless"] <= shares["refined"]
        assert set(rows["seed"].dropna()) == {5, 6}
    assert (table["n_harmful"].eq(5) & table["n_harmless"].eq(4)).all()
    receipt = receipts.check(case.folder / "out")
    verdicts = table.dropna(subset="removes_more_than_random").set_index(["set", "dose"])
    for (name, dose), row in verdicts.iterrows():
        of_set = table[table["set"] == name]
        controls = of_set[of_set["condition"].eq("random") & of_set["dose"].eq(dose)]["refusal_rate"]
        intact = of_set[of_set["condition"] == "intact"]["refusal_rate"].iloc[0]
        wanted = row["refusal_rate"] < intact and (row["refusal_rate"] < controls).all()
        assert receipt.facts["removes_more_than_random"][name][f"{dose:g}"] == row["removes_more_than_random"] == wanted
    assert len(verdicts) == (2 if is_layer else 4)


@pytest.mark.parametrize("case", [("weight", None), ("neuron", None)], indirect=True)
def test_a_control_of_the_same_damage_raises_the_perplexity_as_the_region_does(case):
    rows = case.table[(case.table["set"] == "a") & case.table["dose"].eq(0.3)].set_index("condition")["perplexity"]
    intact = case.table["perplexity"].iloc[0]
    assert abs(np.log(rows["perplexity"] / rows["refined"])) <= abs(np.log(intact / rows["refined"])) + 0.01
    assert case.table.set_index("condition")["perplexity"].nunique() > 6


def test_every_prompt_has_its_outcome_in_every_condition(case):
    outcomes = pd.read_csv(case.folder / "out" / "outcomes.csv")
    assert list(outcomes.columns) == OUTCOME_COLUMNS
    assert len(outcomes) == len(case.table) * (5 + 4)
    keys = ["set", "condition", "dose", "seed"]
    rates = case.table.set_index(keys)
    facts = receipts.check(case.folder / "out").facts["outcomes"]
    for key, rows in outcomes.groupby(keys, dropna=False, sort=False):
        harmful, harmless = (rows[rows["asked"] == asked] for asked in ("harmful", "harmless"))
        assert harmful["id"].tolist() == [f"harmful-{i}" for i in range(5)] and set(harmful["asked_set"]) == {"harmful"}
        assert harmless["id"].tolist() == [f"over_refusal-{i}" for i in range(4)]
        row = rates.loc[[key]].iloc[0]
        for outcome, column in zip(Outcome, ("refusal", "answer", "degenerate"), strict=True):
            assert row[f"{column}_rate"] == harmful["outcome"].eq(outcome).mean()
            if key[1] == "intact" or (key[1] in ("raw", "refined") and key[2] == 0.3):
                assert facts[key[0]][key[1]][outcome] == row[f"{column}_rate"]


def test_an_empty_refined_region_changes_nothing(case):
    rows = case.table[case.table["set"] == "b"].set_index("condition")
    for condition in ("refined", "random"):
        for _, row in rows.loc[[condition]].iterrows():
            assert row["share"] == 0 and not row["removes_more_than_random"] > 0
            for column in ("refusal_rate", "over_refusal_rate", "perplexity"):
                assert row[column] == rows.loc["intact", column]


@pytest.mark.parametrize("case", [("adapter", "separate")], indirect=True)
def test_an_intact_model_that_is_known_is_not_asked_again(case, monkeypatch):
    monkeypatch.setattr(behaviour, "outcome_of", by_bytes)
    known, calls, asked = {}, [], behaviour.evaluate
    monkeypatch.setattr(table, "evaluate", lambda *args, **of: calls.append(1) or asked(*args, **of))
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
