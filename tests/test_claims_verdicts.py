"""Each claim's test decides far from its threshold, not near it, and never without evidence."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.estimates import Tables, measure
from safety_regions.claims.jackknife import Estimate
from safety_regions.claims.planted import PlantedWorld, draw
from safety_regions.claims.refusals import difference_interval, matters, wilson
from safety_regions.claims.responses import compared, response_rows
from safety_regions.claims.rules import TESTS, Evidence, drops_when_refined, follows_response, nothing_common
from safety_regions.claims.verdict import FAILS, HOLDS, UNDECIDED, against
from safety_regions.config.claims import Claims

LINES = Claims()
NOTHING = pd.DataFrame()
AT = {"stage": "refined", "utility": "union", "q": 0.1, "p": 0.1}


def evidence(tables: Tables, **lines: float) -> Evidence:
    return Evidence(tables, measure(tables, LINES.confidence), LINES.model_copy(update=lines))


def empty(**tables: pd.DataFrame) -> Tables:
    return replace(
        Tables(draw(PlantedWorld(), 3, 0).pairs[:0], NOTHING, NOTHING, NOTHING, ["a", "b", "c"], 0.1, 0.1), **tables
    )


def test_every_claim_has_a_test_and_thresholds_of_the_configuration():
    assert [claim.id for claim in CATALOGUE] == list(TESTS)
    used = {key for claim in CATALOGUE for key in claim.thresholds}
    assert used | {"confidence"} == set(Claims.model_fields)
    assert all(f"`{key}`" in claim.test for claim in CATALOGUE for key in claim.thresholds if key != "low")


@pytest.mark.parametrize(
    ("low", "high", "above", "decision"),
    [
        (0.6, 0.8, True, HOLDS),
        (0.6, 0.8, False, FAILS),
        (0.1, 0.4, True, FAILS),
        (0.1, 0.4, False, HOLDS),
        (0.4, 0.6, True, UNDECIDED),
        (0.4, 0.6, False, UNDECIDED),
        (0.5, 0.6, True, UNDECIDED),
        (np.nan, np.nan, True, UNDECIDED),
    ],
)
def test_the_whole_interval_has_to_be_on_one_side(low, high, above, decision):
    outcome = against(Estimate(0.5, low, high, 5), 0.5, above=above)
    assert (outcome.decision, outcome.effect) == (decision, 0.5)


def test_without_evidence_every_claim_is_undecided_and_says_so():
    for claim, test in TESTS.items():
        outcome = test(evidence(empty()))
        assert outcome.decision == UNDECIDED, claim
        assert np.isnan(outcome.effect)
        assert outcome.reason


# What is true of a planted world, the claim, the line drawn, and the decision. Places of sets with .6 in common are
# about .4.
@pytest.mark.parametrize(
    ("claim", "world", "lines", "decision"),
    [
        ("above_chance", PlantedWorld(common=0.8), {}, HOLDS),
        ("above_chance", PlantedWorld(common=0.0, spread=0.0), {}, FAILS),
        ("at_most_moderate", PlantedWorld(), {}, HOLDS),
        ("at_most_moderate", PlantedWorld(), {"moderate": 0.05}, FAILS),
        ("drops_when_refined", PlantedWorld(utility=0.95), {}, HOLDS),
        ("drops_when_refined", PlantedWorld(utility=0.0), {}, FAILS),
        ("not_size_alone", PlantedWorld(common=0.9, spread=0.05, utility=0.95, noise=0.5), {}, HOLDS),
        ("not_size_alone", PlantedWorld(utility=0.0), {"margin": 0.05}, FAILS),
        ("beyond_noise", PlantedWorld(), {}, HOLDS),
        ("beyond_noise", PlantedWorld(common=1.0, spread=0.0), {"same": 0.8}, FAILS),
        ("nothing_common", PlantedWorld(), {}, HOLDS),
    ],
)
def test_far_from_the_threshold_claims_are_decided(claim, world, lines, decision):
    decisions = [TESTS[claim](evidence(draw(world, 8, seed), **lines)).decision for seed in range(2)]
    assert decisions == [decision, decision]


def test_near_the_threshold_they_are_not():
    worlds = [draw(PlantedWorld(), 5, seed) for seed in range(5)]
    decisions = [TESTS["beyond_noise"](evidence(world, same=0.39)).decision for world in worlds]
    assert decisions.count(UNDECIDED) >= 4, decisions


def test_a_drop_needs_a_difference_below_zero_too():
    sure = evidence(draw(PlantedWorld(utility=0.95), 8, 0))
    unsure = replace(sure.measured, difference=Estimate(-0.1, -0.3, 0.1, 8))
    assert drops_when_refined(sure).decision == HOLDS
    assert drops_when_refined(replace(sure, measured=unsure)).decision == UNDECIDED


@pytest.mark.parametrize(
    ("iou", "decision"),
    [
        ([0.5, 0.2, 0.05], HOLDS),
        ([0.5, 0.4, 0.39], FAILS),
        ([0.5, 0.4, 0.2], UNDECIDED),
        ([np.nan] * 3, UNDECIDED),
        ([0.4], UNDECIDED),
    ],
)
def test_what_is_common_to_all_sets_must_be_small_or_settled(iou, decision):
    rows = [{**AT, "order": 0, "n": n, "iou": value} for n, value in enumerate(iou, 2)]
    assert nothing_common(evidence(empty(nway=pd.DataFrame(rows)))).decision == decision


def controls(same_response: list[float], same_prompts: list[float]) -> pd.DataFrame:
    known = {
        "kind": "responses",
        "stage": "raw",
        "utility": "",
        "q": 0.1,
        "p": np.nan,
        "floor_iou": 0.05,
        "harmless_a": False,
    }
    rows = [("a", "b", f"template{i}", f"template{i}", False, v) for i, v in enumerate(same_response)]
    rows += [(s, s, "template0", "template1", False, v) for s, v in zip("ab", same_prompts, strict=True)]
    rows += [
        ("a", "harm", "template0", "template0", True, 0.3),
        ("a", "b", "own", "own", False, 0.2),
        ("a", "a", "own", "template0", False, 0.1),
    ]
    columns = ["a", "b", "variant_a", "variant_b", "harmless_b", "iou"]
    return pd.DataFrame(rows, columns=columns).assign(**known)


@pytest.mark.parametrize(
    ("same_response", "same_prompts", "decision"),
    [
        ([0.6, 0.7], [0.4, 0.5], HOLDS),
        ([0.4, 0.5], [0.6, 0.7], FAILS),
        ([0.4, 0.7], [0.5, 0.6], UNDECIDED),
        ([0.6, 0.6], [0.59, 0.59], FAILS),
    ],
)
def test_response_against_prompt(same_response, same_prompts, decision):
    outcome = follows_response(evidence(empty(replicates=controls(same_response, same_prompts))))
    assert outcome.decision == decision
    assert outcome.effect == pytest.approx(np.mean(same_response) - np.mean(same_prompts))


def test_the_responses_table_says_what_is_shared():
    table = response_rows("m", "snip", empty(replicates=controls([0.6, 0.7], [0.4, np.nan])))
    found = {row["comparison"]: (row["iou"], row["n_pairs"]) for row in table.to_dict("records")}
    assert found == {
        "other prompts, same responses": (pytest.approx(0.65), 2),
        "same prompts, other responses": (0.4, 1),
        "harmful and harmless prompts, same responses": (0.3, 1),
        "other prompts, own responses": (0.2, 1),
        "same prompts, own and fixed responses": (0.1, 1),
    }
    assert compared(NOTHING).empty
    assert response_rows("m", "snip", empty()).empty


def evaluated(
    refined: list[float], random: float = 0.9, intact: float = 1.0, perplexity: float = 20.0, n: int = 24
) -> pd.DataFrame:
    rows = []
    for i, rate in enumerate(refined):
        known = {"set": f"s{i}", "n_harmful": n}
        rows.append({**known, "condition": "intact", "refusal_rate": intact, "perplexity": 10.0})
        more = rate < min(intact, random)
        rows.append(
            {
                **known,
                "condition": "refined",
                "refusal_rate": rate,
                "perplexity": perplexity,
                "removes_more_than_random": more,
            }
        )
        rows.append({**known, "condition": "random_refined", "refusal_rate": random, "perplexity": 11.0})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("table", "decision"),
    [
        (evaluated([0.0]), HOLDS),
        (evaluated([0.0, 0.2]), HOLDS),
        (evaluated([0.0, 0.95]), UNDECIDED),
        (evaluated([0.95, 0.9]), FAILS),
        (evaluated([0.85]), UNDECIDED),
        (evaluated([0.0], perplexity=1e6), UNDECIDED),
        (evaluated([0.0], perplexity=np.inf), UNDECIDED),
        (evaluated([0.0], intact=0.1), UNDECIDED),
        (evaluated([0.0])[:1], UNDECIDED),
    ],
)
def test_a_region_matters_if_refusals_go_with_it_and_the_model_stays(table, decision):
    assert matters(table, LINES).decision == decision
    as_read = table.astype({"removes_more_than_random": "str"}) if "removes_more_than_random" in table else table
    assert matters(as_read, LINES).decision == decision


def test_intervals_of_shares_as_published():
    """Newcombe 1998: Wilson's interval of 81/263, and method 10 for none of 10 against none of 10."""
    assert wilson(81 / 263, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    low, high = difference_interval(0.0, 0.0, 10, 0.95)
    assert (low, high) == pytest.approx((-0.2775, 0.2775), abs=5e-5)
