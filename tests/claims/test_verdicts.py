"""Each claim's test decides far from its threshold, not near it, and never without evidence."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.estimates import Measured, Tables, measure
from safety_regions.claims.jackknife import Estimate
from safety_regions.claims.planted import PlantedWorld, draw
from safety_regions.claims.responses import compared, response_rows
from safety_regions.claims.rows import at
from safety_regions.claims.rules import (
    TESTS,
    Evidence,
    at_most_moderate,
    drops_when_refined,
    follows_response,
    nothing_common,
)
from safety_regions.claims.verdict import FAILS, HOLDS, NOT_RUN, UNDECIDED, against
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


def with_difference(measured: Measured, difference: Estimate) -> Measured:
    return replace(measured, refinement=replace(measured.refinement, difference=difference))


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


def test_a_number_without_an_interval_is_undecided_and_says_why():
    outcome = against(Estimate(0.9, n_sets=3), 0.5, above=True)
    assert (outcome.decision, outcome.effect) == (UNDECIDED, 0.9)
    assert outcome.reason == "No interval: without one of the 3 sets it is undefined."


def test_without_evidence_no_claim_was_run_and_each_says_so():
    for claim, test in TESTS.items():
        outcome = test(evidence(empty()))
        assert outcome.decision == NOT_RUN, claim
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
        ("beyond_noise", PlantedWorld(common=1.0, spread=0.0, noise=0.5), {"same": 0.8, "margin": 0.05}, FAILS),
        ("nothing_common", PlantedWorld(common=0.0, spread=0.0, n_elements=300), {}, HOLDS),
        ("nothing_common", PlantedWorld(common=0.9, spread=0.0), {}, FAILS),
    ],
)
def test_far_from_the_threshold_claims_are_decided(claim, world, lines, decision):
    decisions = [TESTS[claim](evidence(draw(world, 8, seed), **lines)).decision for seed in range(2)]
    assert decisions == [decision, decision]


def test_near_the_threshold_they_are_not():
    worlds = [draw(PlantedWorld(), 5, seed) for seed in range(5)]
    decisions = [TESTS["beyond_noise"](evidence(world, margin=0.2)).decision for world in worlds]
    assert decisions.count(UNDECIDED) >= 4, decisions


def test_few_prompts_do_not_make_sets_the_same():
    """Their halves are next to as alike as those of one set, but with more prompts they need not be."""
    outcome = TESTS["beyond_noise"](evidence(draw(PlantedWorld(noise=6.0, n_elements=4000), 8, 0), margin=0.1))
    assert outcome.decision == UNDECIDED
    assert outcome.high < 0.1
    assert outcome.reason.startswith("From 16 prompts sets are as alike as halves")


def test_a_drop_needs_a_difference_below_zero_too():
    sure = evidence(draw(PlantedWorld(utility=0.95), 8, 0))
    unsure = with_difference(sure.measured, Estimate(-0.1, -0.3, 0.1, 8))
    assert drops_when_refined(sure).decision == HOLDS
    assert drops_when_refined(replace(sure, measured=unsure)).decision == UNDECIDED


def kept_by(*kept: float, chance: float = 0.05, union: int = 100, stage: str = "refined") -> pd.DataFrame:
    """Rows of the growing overlap of sets a, b, c, ... of which each keeps so much of what all others share."""
    names = list("abcdefgh"[: len(kept)])
    of = AT | ({"stage": "raw", "utility": "", "p": np.nan} if stage == "raw" else {})
    rows = []
    for number, (name, share) in enumerate(zip(names, kept, strict=True)):
        order = [other for other in names if other != name] + [name]
        for n in range(2, len(names) + 1):
            is_last = n == len(names)
            both = {"intersection": 40 * (share if is_last else 1), "floor_intersection": chance if is_last else 1.0}
            rows.append({**of, "order": number, "n": n, "added": order[n - 1], "union": union, "iou": 0.1, **both})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("table", "decision", "effect"),
    [
        (kept_by(0.8, 0.85, 0.9, chance=0.05), FAILS, 0.8),
        (kept_by(0.1, 0.15, 0.2), HOLDS, 0.1),
        (kept_by(0.2, 0.5, 0.8), UNDECIDED, 0.45),
        # What regions share by chance is not common.
        (kept_by(0.8, 0.85, 0.9, chance=0.75), HOLDS, 0.1),
        # The line itself is on neither side.
        (kept_by(0.55, 0.55, 0.55, chance=0.05), UNDECIDED, 0.5),
        (kept_by(0.8, 0.8, union=100), UNDECIDED, np.nan),
        (kept_by(0.0, 0.0, 0.0).assign(intersection=0), HOLDS, 0.0),
        (kept_by(0.0, 0.0, 0.0, union=0).assign(intersection=0), UNDECIDED, np.nan),
    ],
)
def test_what_is_common_is_what_each_set_keeps_of_that_of_all_others(table, decision, effect):
    outcome = nothing_common(evidence(empty(nway=table)))
    assert (outcome.decision, outcome.effect) == (decision, pytest.approx(effect, nan_ok=True))


def test_how_many_sets_have_nothing_in_common_is_said():
    outcome = nothing_common(evidence(empty(nway=kept_by(0.0, 0.0, 0.0).assign(intersection=0))))
    assert outcome.reason == "Not even 2 sets have an element in common."


def test_the_sets_that_keep_least_and_most_are_named():
    found = nothing_common(evidence(empty(nway=kept_by(0.8, 0.95, 0.85))))
    assert found.reason.endswith("keep least and most: a 0.80, b 0.95. IoU of all: 0.10.")


@pytest.mark.parametrize("n_sets", [5, 10, 20])
def test_with_ever_more_sets_a_core_stays_a_core(n_sets):
    """The IoU of all sets falls below any line, and says so only of their number."""
    tables = draw(PlantedWorld(common=0.9, spread=0.0, noise=0.5, n_elements=20_000), n_sets, 0)
    outcome = nothing_common(evidence(tables))
    assert outcome.decision == FAILS
    whole = at(tables.nway, "refined", tables.q, tables.p)
    assert (whole["iou"][whole["n"] == n_sets].mean() < 0.2) == (n_sets > 5)


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
    halves = draw(PlantedWorld(), 3, 0).replicates
    assert list(compared(halves).columns) == [*halves.columns, "comparison"] and compared(halves).empty
    assert response_rows("m", "snip", empty()).empty


# Means would decide each of these: some pair of the one kind is on the other side of some pair of the other.
@pytest.mark.parametrize(
    ("same_response", "same_prompts"),
    [
        ([0.4, 0.9], [0.5, 0.5]),
        ([0.4, 0.8], [0.5, 0.5]),
        ([0.6, 0.6], [0.4, 0.7]),
        ([0.5, 0.5], [0.4, 0.9]),
        ([0.3, 0.6], [0.5, 0.8]),
        ([0.2, 0.8], [0.6, 0.6]),
        ([0.4, 0.4], [0.1, 0.6]),
    ],
)
def test_response_against_prompt_asks_every_pair_and_not_their_means(same_response, same_prompts):
    found = follows_response(evidence(empty(replicates=controls(same_response, same_prompts))))
    assert found.decision == UNDECIDED
    assert found.reason.endswith("They mix.")


@pytest.mark.parametrize(("apart", "verdict"), [(0.03125, FAILS), (0.0625, UNDECIDED), (0.125, HOLDS)])
def test_response_against_prompt_needs_more_than_the_margin(apart, verdict):
    """Binary fractions, so that one difference is the margin exactly, which neither side may claim."""
    rows = controls([0.5 + apart] * 2, [0.5, 0.5])
    assert follows_response(evidence(empty(replicates=rows), margin=0.0625)).decision == verdict


def with_raw_iou(estimate: Estimate) -> Evidence:
    of = evidence(draw(PlantedWorld(), 4, 0), low=0.25, moderate=0.5)
    stages = of.measured.stages | {"raw": replace(of.measured.stages["raw"], iou=estimate)}
    return replace(of, measured=replace(of.measured, stages=stages))


@pytest.mark.parametrize(
    ("value", "word"), [(0.2, "low"), (0.25, "moderate"), (0.4, "moderate"), (0.5, "moderate"), (0.6, "high")]
)
def test_an_overlap_is_called_low_moderate_or_high_by_its_mean(value, word):
    found = at_most_moderate(with_raw_iou(Estimate(value, value - 0.01, value + 0.01, 4)))
    assert found.reason.endswith(f" The mean is {word}.")


def test_an_overlap_that_is_not_known_is_called_nothing():
    found = at_most_moderate(with_raw_iou(Estimate(np.nan)))
    assert (found.decision, "The mean is" in found.reason) == (UNDECIDED, False)


@pytest.mark.parametrize(("high", "verdict"), [(-0.01, HOLDS), (0.0, UNDECIDED)])
def test_a_drop_whose_difference_may_be_zero_is_left_open(high, verdict):
    of = evidence(draw(PlantedWorld(utility=0.95), 8, 0))
    of = replace(of, measured=with_difference(of.measured, Estimate(-0.1, -0.3, high, 8)))
    assert drops_when_refined(of).decision == verdict


def test_a_difference_below_zero_makes_no_drop_of_what_is_none():
    of = evidence(draw(PlantedWorld(utility=0.0), 8, 0))
    for high in (-0.01, 0.1):
        unsure = replace(of, measured=with_difference(of.measured, Estimate(-0.1, -0.3, high, 8)))
        assert drops_when_refined(unsure).decision == FAILS


def test_what_raw_regions_have_in_common_says_nothing_of_refined_ones():
    table = pd.concat([kept_by(0.4, 0.4, 0.4), kept_by(0.1, 0.1, 0.1, stage="raw")], ignore_index=True)
    assert nothing_common(evidence(empty(nway=table))).effect == pytest.approx(0.35)


@pytest.mark.parametrize("outside", [{"q": 0.2}, {"p": 0.2}, {"utility": "u"}, {"stage": "raw", "utility": ""}])
def test_a_claim_looks_at_the_fractions_and_the_union_of_the_run(outside):
    table = pd.concat([kept_by(0.4, 0.4, 0.4), kept_by(0.1, 0.1, 0.1).assign(**outside)], ignore_index=True)
    assert nothing_common(evidence(empty(nway=table))).effect == pytest.approx(0.35)


@pytest.mark.parametrize("at", ["low", "high"])
def test_an_interval_that_ends_on_the_line_is_on_neither_side(at):
    ends = {"low": (0.5, 0.7), "high": (0.3, 0.5)}[at]
    for above in (True, False):
        assert against(Estimate(0.5, *ends, 5), 0.5, above=above).decision == UNDECIDED


def test_the_ranges_of_both_kinds_of_pairs_are_told():
    found = follows_response(evidence(empty(replicates=controls([0.6, 0.6], [0.4, 0.5]))))
    assert found.reason == "Same response: 0.60; same prompts: 0.40 to 0.50."
    neither = controls([0.6, 0.6], [0.4, 0.5]).iloc[[0]].assign(variant_b="template1", iou=0.44)
    with_neither = pd.concat([controls([0.6, 0.6], [0.4, 0.5]), neither], ignore_index=True)
    found = follows_response(evidence(empty(replicates=with_neither)))
    assert found.reason.endswith(
        "Beside other prompts with other responses (0.440) the same response adds 0.160, the same prompts 0.010."
    )
