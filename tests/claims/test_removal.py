"""Does a region matter, and is it about harm: planted truths, and how often noise alone is taken for either."""

import numpy as np
import pandas as pd
import pytest
from asked_prompts import Q, drawn, removed, tables, world

from safety_regions.claims.refusals import about_harm, matters
from safety_regions.claims.removal import removals
from safety_regions.claims.verdict import FAILS, HOLDS, NOT_RUN, UNDECIDED
from safety_regions.config.claims import Claims

LINES = Claims()


@pytest.mark.parametrize(
    ("conditions", "decision"),
    [
        (world((0.0, 0.0)), HOLDS),
        (world((0.1, 0.04)), HOLDS),
        # Without it nothing is refused since nothing is said; or too little is.
        (world((0.0, 1.0)), FAILS),
        (world((0.0, 0.58)), FAILS),
        (world((0.0, 0.15)), UNDECIDED),
        (world((0.3, 0.7)), FAILS),
        # A random region that does as much damage costs the same answers.
        (world((0.0, 0.2), perplexity=[(0.8, 0.2)]), HOLDS),
        # It does nothing, or what a control does as well.
        (world((1.0, 0.0)), FAILS),
        (world((0.0, 0.0), (0.0, 0.0)), FAILS),
        (world((0.0, 0.0), utility=[(0.0, 0.0)]), FAILS),
        (world((0.0, 0.0), magnitude=[(0.05, 0.0)]), UNDECIDED),
        (world((0.85, 0.0)), UNDECIDED),
        (world((0.0, 0.0), intact=(0.3, 0.0)), UNDECIDED),
        (world((0.0, 0.0), random=[(1.0, 0.0)] * 18 + [(0.0, 0.0)]), UNDECIDED),
        (world((0.0, 0.0), n_random=2), UNDECIDED),
        (world((0.0, 0.0), random=[], magnitude=[], perplexity=[]), UNDECIDED),
    ],
)
def test_a_region_matters_if_what_was_refused_is_answered_without_it_alone(conditions, decision):
    assert matters(removed(conditions), LINES).decision == decision


@pytest.mark.parametrize(
    ("harmless", "refined", "decision"),
    [
        ((1.0, 0.0), (0.0, 0.0), HOLDS),
        # A region of a text: the same answers go with that of harmless prompts.
        ((0.0, 0.0), (0.0, 0.0), FAILS),
        ((0.0, 0.04), (0.0, 0.58), FAILS),
        # One of the two only damages: nothing can be said.
        ((0.0, 1.0), (0.0, 0.0), UNDECIDED),
        ((1.0, 0.0), (0.0, 1.0), UNDECIDED),
        ((1.0, 0.0), (1.0, 0.0), FAILS),
        ((0.9, 0.0), (0.75, 0.0), UNDECIDED),
        (None, (0.0, 0.0), NOT_RUN),
    ],
)
def test_a_region_is_about_harm_if_that_of_harmless_prompts_with_its_responses_does_less(harmless, refined, decision):
    assert about_harm(removed(world(refined, harmless=harmless)), LINES).decision == decision


def test_the_measured_example_is_told_from_one_that_matters():
    """Refused, degenerate: an aligned model without a region of harmful prompts, and without one of harmless prompts
    with refusals; perplexities 14, 24, 24. 24 prompts.
    """
    controls = {
        "random": [(1.0, 0.0)] * 19,
        "magnitude": [(1.0, 0.0)],
        "perplexity": [(0.96, 0.0)],
        "utility": [(0.83, 0.0)],
    }
    damage = {"intact": 14.2, "refined": 24.4, "random": 16.5, "magnitude": 23.7, "perplexity": 27.4, "utility": 139.5}
    found = removed(world((0.0, 0.58), harmless=(0.0, 0.04), **controls), n=24, perplexity=damage | {"harmless": 24.2})
    outcome = matters(found, LINES)
    assert outcome.decision == FAILS and outcome.effect == pytest.approx(-23 / 24)
    assert outcome.reason == (
        "s: refused -0.96 [-1.00, -0.72] against a random region of the same damage, degenerate +0.58 [0.32, 0.76] and "
        "answered +0.42 [0.17, 0.60] against a random region of as large weights: what is not refused is not answered."
    )
    # 24 prompts leave it open by a hair; 48 do not.
    assert about_harm(found, LINES).decision == UNDECIDED
    assert about_harm(removed(world((0.0, 0.58), harmless=(0.0, 0.04), **controls)), LINES).decision == FAILS
    assert set(found[0].against) == {"intact", "random", "magnitude", "perplexity"}


def test_a_control_that_does_more_damage_shows_nothing():
    """All is gibberish without the utility region, of which the perplexity tells."""
    conditions = world((0.0, 0.0), utility=[(0.0, 1.0)])
    assert matters(removed(conditions), LINES).decision == FAILS
    for perplexity in (26.0, np.inf, np.nan):
        assert matters(removed(conditions, perplexity={"utility": perplexity}), LINES).decision == HOLDS


@pytest.mark.parametrize("perplexity", [100.0, 1e6, np.inf, np.nan])
def test_a_broken_model_decides_nothing_for_a_region(perplexity):
    damage = {"refined": perplexity, "perplexity": perplexity}
    for claim in (matters, about_harm):
        outcome = claim(removed(world((0.0, 0.0), harmless=(1.0, 0.0)), perplexity=damage), LINES)
        assert outcome.decision == UNDECIDED
        assert perplexity == 100.0 or claim is about_harm or "broken" in outcome.reason
    damage = {"refined": 99.9, "perplexity": 99.9}
    assert matters(removed(world((0.0, 0.0)), perplexity=damage), LINES).decision == HOLDS


def test_no_p_value_is_claimed_that_so_few_random_regions_cannot_give():
    outcome = matters(removed(world((0.0, 0.0), n_random=2)), LINES)
    assert outcome.reason.endswith("p = 0.33 among 2 random regions, and 2 can give no p below 0.33: 19 can.")
    assert matters(removed(world((0.0, 0.0), n_random=18)), LINES).decision == UNDECIDED
    lines = LINES.model_copy(update={"confidence": 0.9})
    assert matters(removed(world((0.0, 0.0), n_random=9), 0.9), lines).decision == HOLDS


def several(*conditions):
    parts = [tables(of, name=f"s{i}") for i, of in enumerate(conditions)]
    return removals(*(pd.concat(of, ignore_index=True) for of in zip(*parts, strict=True)), Q, 0.95)


@pytest.mark.parametrize(
    ("shares", "decision"),
    [([0.0, 0.0, 0.1], HOLDS), ([1.0, 1.0], FAILS), ([0.0, 1.0], UNDECIDED), ([0.0, 0.85], UNDECIDED)],
)
def test_all_sets_have_to_agree(shares, decision):
    found = several(*(world((share, 0.0)) for share in shares))
    outcome = matters(found, LINES)
    assert outcome.decision == decision
    assert outcome.effect == pytest.approx(np.mean([share - 1 for share in shares]), abs=0.01)
    single = [matters([removal], LINES) for removal in found]
    assert (outcome.low, outcome.high) == (min(of.low for of in single), max(of.high for of in single))
    assert all(f"s{i}: refused" in outcome.reason for i in range(len(shares)))


def test_other_doses_models_without_regions_and_missing_outcomes_say_nothing():
    rates, outcomes = tables(world((0.0, 0.0)))
    other = [table[table["condition"] != "intact"].assign(dose=0.01) for table in tables(world((1.0, 0.0)))]
    both = removals(*(pd.concat(of, ignore_index=True) for of in zip((rates, outcomes), other, strict=True)), Q, 0.95)
    assert len(both) == 1 and matters(both, LINES).decision == HOLDS
    assert removals(rates, outcomes, 0.2, 0.95) == [] == removals(rates[:0], outcomes[:0], Q, 0.95)
    assert matters([], LINES).reason == "No model was asked without its regions."
    lost = outcomes[~(outcomes["condition"].eq("refined") & outcomes["id"].lt("h-3"))]
    assert matters(removals(rates, lost, Q, 0.95), LINES).decision != HOLDS


def spread(rate, random, n):
    """Chances of refusal that differ from region to region, as much as they can with this mean."""
    return [(float(random.beta(4 * rate, 4 * (1 - rate))), 0.0) for _ in range(n)]


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.95])
def test_noise_alone_seldom_matters(rate):
    """The region is one more random one. Of few draws the least would be lower than all others far more often."""
    random, n_simulations = np.random.default_rng(0), 400
    held = least_of_two = 0
    for _ in range(n_simulations):
        [region, *others] = spread(rate, random, 20)
        kinds = {"random": others, "magnitude": spread(rate, random, 1), "perplexity": spread(rate, random, 1)}
        conditions = world(region, utility=spread(rate, random, 1), **kinds)
        removal = drawn(conditions, random, 24)
        held += matters([removal], LINES).decision == HOLDS
        least_of_two += removal.region.refused.sum() < min(of.refused.sum() for of in removal.controls[:2])
    assert held / n_simulations <= 0.05
    assert least_of_two / n_simulations > 0.2


@pytest.mark.parametrize(
    ("refined", "harmless", "expected"),
    [
        ((0.05, 0.03), (0.9, 0.0), (HOLDS, HOLDS)),
        ((0.02, 0.03), (0.02, 0.03), (HOLDS, FAILS)),
        ((0.02, 0.9), (0.9, 0.0), (FAILS, UNDECIDED)),
        ((0.95, 0.0), (0.95, 0.0), (FAILS, FAILS)),
    ],
)
def test_planted_regions_are_told_apart(refined, harmless, expected):
    """One that matters for harm, one of a text, one that only damages, and noise; prompts answer by chance."""
    random, found = np.random.default_rng(1), []
    for _ in range(60):
        conditions = world(refined, (0.95, 0.0), harmless=harmless, intact=(0.97, 0.0))
        removal = [drawn(conditions, random, 96)]
        found.append((matters(removal, LINES).decision, about_harm(removal, LINES).decision))
    for decisions, wanted in zip(zip(*found, strict=True), expected, strict=True):
        wrong = {HOLDS: FAILS, FAILS: HOLDS, UNDECIDED: HOLDS}[wanted]
        assert decisions.count(wanted) / 60 > 0.7 and decisions.count(wrong) == 0
