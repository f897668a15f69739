"""From all tables of a run to its verdicts: what the report gets, and what it writes."""

import json
import warnings

import asked_prompts
import numpy as np
import pandas as pd
import pytest
from asked_prompts import tables, world
from pydantic import ValidationError

from safety_regions.claims.assessment import assess
from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.estimates import Tables
from safety_regions.claims.jackknife import square
from safety_regions.claims.planted import PlantedWorld, Q, draw
from safety_regions.claims.render import to_markdown
from safety_regions.claims.rows import at
from safety_regions.config.claims import Claims
from safety_regions.report.inputs import OVERLAP_TABLES

NOTHING = pd.DataFrame()


@pytest.fixture(scope="module")
def planted():
    return {"m.snip": draw(PlantedWorld(utility=0.5), 5, 0), "m-1.wanda": draw(PlantedWorld(), 5, 1)}


def tables_of(planted: Tables) -> dict[str, pd.DataFrame]:
    """What a report reads of a comparison of sets."""
    return {name: getattr(planted, name) for name in OVERLAP_TABLES}


def config(sets: list[str], **claims: float) -> dict:
    return {"datasets": {"safety": sets}, "thresholds": {"q": Q, "p": Q}, "claims": claims}


def assessed(planted, replicates: bool = True, **claims: float):
    overlaps = {name: tables_of(of) for name, of in planted.items()}
    halves = {name: of.replicates for name, of in planted.items()} if replicates else {}
    sets = next(iter(planted.values())).sets
    return assess(config(sets, **claims), overlaps, halves, NOTHING, NOTHING, {}, NOTHING)


def test_every_region_gets_estimates_and_a_verdict_on_every_claim(planted):
    found = assessed(planted)
    names = [("m", "snip"), ("m-1", "wanda")]
    assert [(v.claim, v.model, v.method) for v in found.verdicts] == [
        (claim, *name) for name in names for claim in CATALOGUE
    ]
    assert found.estimates.groupby(["model", "method"], sort=False).size().to_dict() == dict.fromkeys(names, 2)
    assert found.estimates["place"].notna().all()
    refined = found.estimates[found.estimates["stage"] == "refined"]
    assert refined[["size_matched_iou", "placebo_iou"]].notna().all(axis=None)
    assert found.responses.empty
    assert set(found.confounds["method"]) == {"snip", "wanda"}


def test_json_has_the_schema_of_the_report_and_no_nan(planted):
    text = assessed(planted).to_json()
    assert text == assessed(planted).to_json()
    found = json.loads(text)
    assert set(found) == {"claims", "verdicts"}
    assert {frozenset(claim) for claim in found["claims"]} == {frozenset({"id", "statement", "source", "test"})}
    keys = {"claim", "model", "method", "verdict", "effect", "low", "high", "what", "reason"}
    keys |= {"p_value", "p_holm", "p_bh", "without"}
    assert {frozenset(verdict) for verdict in found["verdicts"]} == {frozenset(keys)}
    assert {v["verdict"] for v in found["verdicts"]} <= {"holds", "does not hold", "undecided", "not run"}
    undecided = next(v for v in found["verdicts"] if v["claim"] == "matters")
    assert (undecided["effect"], undecided["low"], undecided["high"]) == (None, None, None)


def test_markdown_has_a_cell_and_a_reason_for_every_verdict(planted):
    found = assessed(planted)
    lines = to_markdown(found.verdicts).splitlines()
    cells = [line.split("|")[1:-1] for line in lines if line.startswith("|")]
    # A table of the study's claims, and one of ours.
    assert lines[0] == "### The study's claims" and [len(row) for row in cells] == [2 + 3] * 4 + [2 + 10] * 4
    assert len(CATALOGUE) == 3 + 10
    for rows in (cells[2:4], cells[6:]):
        assert [row[:2] for row in rows] == [[" m ", " snip "], [" m-1 ", " wanda "]]
    above = next(v for v in found.verdicts if v.claim.id == "above_chance")
    assert cells[4][2] == " above chance " and cells[6][2].strip() == f"✓ holds ({above.outcome.effect:.2f})"
    assert sum(line.startswith("- ") for line in lines) == len(found.verdicts)
    # Markdown would take a claim right below a reason for a part of that reason.
    claims = [i for i, line in enumerate(lines) if line.startswith("**")]
    assert len(claims) == len(CATALOGUE) and all(lines[i - 1] == "" for i in claims)


def test_thresholds_of_the_configuration_count(planted):
    def moderate(**claims: float) -> str:
        verdicts = assessed(planted, **claims).verdicts
        return next(v.outcome.decision for v in verdicts if v.claim.id == "at_most_moderate")

    assert moderate() == "holds"
    assert moderate(moderate=0.01, low=0.0) == "does not hold"


def test_without_replicates_what_they_would_tell_is_empty_and_was_not_run(planted):
    found = assessed(planted, replicates=False)
    assert found.estimates["ceiling"].isna().all()
    assert {v.outcome.decision for v in found.verdicts if v.claim.id == "beyond_noise"} == {"not run"}


@pytest.mark.parametrize("n_sets", [2, 3])
def test_few_sets_and_empty_tables_raise_no_warning(n_sets):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = assessed({"m.snip": draw(PlantedWorld(), n_sets, 0)})
        assert found.estimates["iou"].notna().all()
        of = {
            "pairs": draw(PlantedWorld(), n_sets, 0).pairs[:0],
            "nway": NOTHING,
            "levels": NOTHING,
            "placebo": NOTHING,
        }
        empty = assess(config(["a", "b"]), {"m.snip": of}, {"m.snip": NOTHING}, NOTHING, NOTHING, {}, NOTHING)
        assert {v.outcome.decision for v in empty.verdicts} == {"not run"}
        nothing = assess(config(["a", "b"]), {}, {}, NOTHING, NOTHING, {}, NOTHING)
    assert (len(nothing.verdicts), len(nothing.estimates), len(nothing.confounds)) == (0, 0, 0)
    assert json.loads(nothing.to_json())["verdicts"] == []


def test_the_drop_stands_at_every_p_and_at_the_headline_is_that_of_the_claim(planted):
    found = assessed(planted)
    effects = {(v.model, v.method): v.outcome.effect for v in found.verdicts if v.claim.id == "drops_when_refined"}
    drops = found.drops[found.drops["p"] == Q].set_index(["model", "method"])["drop"].to_dict()
    assert drops == effects and found.drops["placebo_drop"].notna().all()


def test_low_must_not_be_above_moderate():
    with pytest.raises(ValidationError, match="above moderate"):
        Claims(low=0.7, moderate=0.6)


def without_regions(model: str, method: str, refined: float) -> list[pd.DataFrame]:
    """What is left of the refusals without the refined region, of all with other ones: evaluate.csv, outcomes.csv."""
    conditions = world((refined, 0.0), harmless=(1.0, 0.0))
    return [
        table.replace({"dose": asked_prompts.Q}, Q).assign(model=model, method=method) for table in tables(conditions)
    ]


def test_each_region_is_held_against_what_its_own_model_does_without_it(planted):
    own = {("m", "snip"): 0.0, ("m-1", "wanda"): 1.0, ("m", "wanda"): 1.0, ("m-1", "snip"): 0.0}
    parts = [without_regions(*key, rate) for key, rate in own.items()]
    evaluated, outcomes = (pd.concat(of, ignore_index=True) for of in zip(*parts, strict=True))
    overlaps = {name: tables_of(of) for name, of in planted.items()}
    sets = next(iter(planted.values())).sets
    found = assess(config(sets), overlaps, {}, evaluated, NOTHING, {}, outcomes)
    for claim in ("matters", "about_harm"):
        verdicts = {(v.model, v.method): v.outcome.decision for v in found.verdicts if v.claim.id == claim}
        assert verdicts == {("m", "snip"): "holds", ("m-1", "wanda"): "does not hold"}
    alone = assess(config(sets), overlaps, {}, evaluated[evaluated["model"] == "m"], NOTHING, {}, outcomes)
    assert [v.outcome.decision for v in alone.verdicts if v.claim.id == "matters"] == ["holds", "not run"]


def test_the_tables_have_one_row_after_the_other(planted):
    """As files have them: joined parts would bring their own numbers along."""
    found = assessed(planted)
    for table in (found.estimates, found.confounds):
        assert table.index.tolist() == list(range(len(table)))


def test_each_region_has_its_own_replicates_and_facts(planted):
    """Those of another model or method, with the same sets, say nothing of it."""
    both, alone = assessed(planted), assessed({"m.snip": planted["m.snip"]})
    first = both.estimates[both.estimates["model"] == "m"].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, alone.estimates)
    assert both.estimates["ceiling"].nunique() == 4


def test_what_a_method_does_not_look_at_is_not_applicable(planted):
    """SafeNeuron reads prompts alone; the ranges of SafeLayer have one size."""
    one = planted["m.snip"]
    found = assessed({"m.snip": one, "m.safeneuron": one, "m.safelayer": one}).verdicts
    of = {(v.claim.id, v.method): v.outcome.decision for v in found}
    assert [of["follows_response", method] for method in ("snip", "safeneuron")] == ["not run", "not applicable"]
    assert of["not_size_alone", "safelayer"] == "not applicable"
    assert of["not_size_alone", "safeneuron"] == of["not_size_alone", "snip"] != "not run"


def test_the_set_that_moves_an_estimate_most_is_named_with_what_is_left_without_it():
    """Some sets have nothing in common with the rest."""
    tables = draw(PlantedWorld(common=0.9, spread=0.0, odd=0.2, noise=0.5), 6, 0)
    found = assessed({"m.snip": tables}).verdicts
    above = next(v for v in found if v.claim.id == "above_chance")
    assert list(above.without) == tables.sets
    name, without = above.moved_most
    ious = square(at(tables.pairs, "raw", Q, Q), "iou", tables.sets)
    assert name == tables.sets[int(np.nanmean(ious, axis=1).argmin())]
    assert without.effect > above.outcome.effect + 0.1
    alone = assessed({"m.snip": tables.without(name)})
    assert next(v for v in alone.verdicts if v.claim.id == "above_chance").outcome.effect == without.effect


def test_p_values_are_those_of_the_intervals_and_are_adjusted_for_all(planted):
    verdicts = [v for v in assessed(planted).verdicts if not np.isnan(v.outcome.p_value)]
    assert len(verdicts) > 8
    for v in verdicts:
        assert v.outcome.p_value <= v.p_bh <= v.p_holm
        assert v.claim.id == "drops_when_refined" or (v.outcome.p_value < 0.05) == (v.outcome.decision != "undecided")
