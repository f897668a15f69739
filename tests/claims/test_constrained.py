"""Claims about fine-tuned models, on planted outcomes: what protects, what only seems to, and what tells nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from safety_regions.claims.constrained import Constrained, concentrations, moves, protects, restores
from safety_regions.claims.crossed import crossed_mean, mean_over_seeds
from safety_regions.claims.verdict import FAILS, HOLDS, NOT_RUN, UNDECIDED
from safety_regions.config.claims import Claims

LINES = Claims()
CONTROLS = ("random_refined", "magnitude_refined", "utility_refined")
N_PROMPTS, N_SEEDS = 48, 4


def planted(kept, *, rates=(0.001,), losses=None, checkpoints=("step 9",), n_seeds=N_SEEDS, refuses=1.0, noise=0):
    """Tables in which a condition keeps a share of the refusals; `kept`: by condition, or by condition and rate.

    Each prompt has a threshold, the same in all seeds but for some noise: it is refused where the share is above.
    """
    random = np.random.default_rng(noise)
    thresholds = (np.arange(N_PROMPTS) + 0.5) / N_PROMPTS
    rows, outcomes = [], []

    def add(condition, rate, seed, checkpoint, refused):
        loss = (losses or {}).get(condition, 1.0)
        rows.append((condition, rate, seed, checkpoint, loss, refused.mean()))
        outcomes.extend(
            (condition, rate, seed, checkpoint, "harmful", "x", f"p{i}", "refuses" if flag else "answers")
            for i, flag in enumerate(refused)
        )

    for rate in rates:
        for seed in range(n_seeds):
            add("aligned", rate, seed, "step 0", thresholds <= refuses)
            for condition, share in kept.items():
                share = share[rate] if isinstance(share, dict) else share
                for checkpoint in checkpoints:
                    add(condition, rate, seed, checkpoint, thresholds + random.normal(0, 0.05, N_PROMPTS) < share)
    keys = ["condition", "learning_rate", "seed", "checkpoint"]
    return Constrained(
        pd.DataFrame(rows, columns=[*keys, "benign_loss", "refusal_rate"]),
        pd.DataFrame(outcomes, columns=[*keys, "asked", "asked_set", "id", "outcome"]),
    )


def frozen(nothing=0.4, refined=0.9, controls=0.5):
    return {"nothing": nothing, "refined": refined, **dict.fromkeys(CONTROLS, controls)}


def put_back(nothing=0.0, refined=0.9, controls=0.1):
    conditions = {"refined": refined, **dict.fromkeys(CONTROLS, controls)}
    return {"nothing": nothing} | {f"rewound_{name}": share for name, share in conditions.items()}


def test_a_region_that_keeps_more_than_every_control_protects():
    outcome = protects(planted(frozen()), LINES)
    assert outcome.decision == HOLDS and outcome.low > LINES.kept
    assert outcome.low < outcome.effect < outcome.high and outcome.effect == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("control", ["nothing", *CONTROLS])
def test_one_control_that_keeps_as_much_is_enough_against_it(control):
    outcome = protects(planted(frozen(nothing=0.5, refined=0.8) | {control: 0.8}), LINES)
    assert outcome.decision == FAILS and control.removesuffix("_refined").split("_")[0] in outcome.reason


def test_the_complement_of_the_region_and_what_is_put_back_are_no_controls():
    tables = planted(frozen() | {"only_refined": 1.0, "rewound_refined": 1.0, "rewound_random_refined": 1.0})
    assert protects(tables, LINES).decision == HOLDS


@pytest.mark.parametrize(("nothing", "share"), [(0.95, "95%"), (0.05, "4%")])
def test_a_training_that_undoes_all_or_nothing_tells_nothing(nothing, share):
    outcome = protects(planted(frozen(nothing=nothing, refined=0.99, controls=nothing)), LINES)
    assert outcome.decision == UNDECIDED and share in outcome.reason


def test_of_two_rates_the_one_that_tells_something_decides():
    rates = (0.001, 0.01)
    shares = {name: {0.001: share, 0.01: 0.02} for name, share in frozen().items()}
    assert protects(planted(shares, rates=rates), LINES).decision == HOLDS
    opposite = {name: {0.001: share, 0.01: 0.5} for name, share in frozen().items()}
    assert protects(planted(opposite, rates=rates), LINES).decision == UNDECIDED


def test_a_region_that_keeps_the_task_from_being_learned_does_not_count():
    tables = planted(frozen(), losses={"refined": 1.06})
    assert protects(tables, LINES).decision == UNDECIDED
    assert protects(tables, replace_lines(learned=0.1)).decision == HOLDS


def replace_lines(**changes):
    return Claims.model_validate(LINES.model_dump() | changes)


def test_conditions_are_compared_at_the_lowest_loss_that_all_have_reached():
    tables = planted(frozen(refined=0.5), checkpoints=("step 9",))
    early = planted(frozen(), checkpoints=("loss 0.8", "loss 0.7"))
    late = planted(frozen(refined=0.5), checkpoints=("loss 0.6",))
    late = Constrained(*(t[t["condition"] != "nothing"] for t in (late.rates, late.outcomes)))
    both = Constrained(
        *(pd.concat(parts) for parts in zip(*((t.rates, t.outcomes) for t in (tables, early, late)), strict=True))
    )
    assert protects(tables, LINES).decision == FAILS
    assert protects(both, LINES).decision == HOLDS


def test_only_prompts_that_the_aligned_model_refuses_count_and_there_have_to_be_enough():
    assert protects(planted(frozen(), refuses=0.4), LINES).decision == UNDECIDED
    outcome = protects(planted(frozen(nothing=0.2, controls=0.2), refuses=0.6), LINES)
    assert outcome.decision == HOLDS and outcome.effect == pytest.approx(0.4 / 0.6, abs=0.1)


def test_one_seed_decides_nothing():
    assert protects(planted(frozen(), n_seeds=1), LINES).decision == UNDECIDED


def test_without_fine_tunings_nothing_is_decided():
    for test in (protects, restores, moves):
        assert test(Constrained(), LINES).decision == NOT_RUN
    assert protects(planted({"nothing": 0.4}), LINES).decision == NOT_RUN


def test_rewinding_restores_where_all_was_lost_but_not_where_nothing_was():
    assert restores(planted(put_back()), LINES).decision == HOLDS
    assert restores(planted(put_back(nothing=0.95)), LINES).decision == UNDECIDED
    assert restores(planted(put_back(controls=0.9)), LINES).decision == FAILS


def drawn(random, effect=0.0, of_seed=0.15, n_seeds=3):
    """Outcomes of a world in which seeds and prompts differ, and the region does nothing beyond `effect`."""
    of_prompt = random.normal(0, 0.5, N_PROMPTS)
    kept = {}
    for name in ("nothing", "refined", *CONTROLS):
        share = 0.5 + (effect if name == "refined" else 0.0)
        kept[name] = [
            of_prompt + random.normal(0, 0.5, N_PROMPTS) + random.normal(0, of_seed) < share - 0.5
            for _ in range(n_seeds)
        ]
    rows, outcomes = [], []
    for name, by_seed in [("aligned", [np.ones(N_PROMPTS, bool)] * n_seeds), *kept.items()]:
        at = "step 0" if name == "aligned" else "step 9"
        for seed, refused in enumerate(by_seed):
            rows.append((name, 0.001, seed, at, 1.0, refused.mean()))
            outcomes += [
                (name, 0.001, seed, at, "harmful", "x", f"p{i}", "refuses" if flag else "answers")
                for i, flag in enumerate(refused)
            ]
    keys = ["condition", "learning_rate", "seed", "checkpoint"]
    return Constrained(
        pd.DataFrame(rows, columns=[*keys, "benign_loss", "refusal_rate"]),
        pd.DataFrame(outcomes, columns=[*keys, "asked", "asked_set", "id", "outcome"]),
    )


def test_where_nothing_protects_the_claim_holds_no_more_often_than_its_level_allows():
    random = np.random.default_rng(0)
    decisions = [protects(drawn(random), LINES).decision for _ in range(60)]
    assert decisions.count(HOLDS) <= 2
    assert decisions.count(FAILS) > 10


def test_the_interval_covers_the_truth_where_seeds_and_prompts_vary():
    """One control and no margin: the level of each of the comparisons that all have to be decided."""
    random = np.random.default_rng(1)
    n, missed = 400, {2: 0, 3: 0, 5: 0}
    for n_seeds in missed:
        for _ in range(n):
            latent = (
                random.normal(0, 0.5, 48) + random.normal(0, 0.15, (n_seeds, 1)) + random.normal(0, 0.5, (n_seeds, 48))
            )
            estimate = crossed_mean(np.sign(latent) * (np.abs(latent) > 0.5), 0.95)
            missed[n_seeds] += not estimate.low <= 0 <= estimate.high
    assert all(count / n < 0.08 for count in missed.values()), missed


def test_the_interval_of_two_factors_by_its_literal_formula():
    values = np.random.default_rng(2).uniform(-1, 1, (4, 9))
    per_seed = [np.mean(row) for row in values]
    per_prompt = [*(np.mean(column) for column in values.T), 1.0, -1.0]

    def variance_of_mean(numbers):
        return sum((x - np.mean(numbers)) ** 2 for x in numbers) / (len(numbers) - 1) / len(numbers)

    of_seeds, of_prompts = variance_of_mean(per_seed), variance_of_mean(per_prompt)
    variance = of_seeds + of_prompts
    freedom = variance**2 / (of_seeds**2 / 3 + of_prompts**2 / 10)
    reach = stats.t.ppf(0.95, freedom) * np.sqrt(variance)
    found, middle = crossed_mean(values, 0.9), np.mean(per_prompt)
    assert (found.value, found.n_sets) == (pytest.approx(values.mean()), 4)
    assert (found.low, found.high) == pytest.approx((middle - reach, middle + reach))


def test_outcomes_of_fewer_prompts_or_none_are_not_compared():
    """A table of which a part is missing says nothing of the claim, rather than something of what is there."""
    tables = planted(frozen())
    of_region = tables.outcomes["condition"] == "refined"
    few = tables.outcomes["id"].isin([f"p{i}" for i in range(9)])
    for missing in (of_region, of_region & few, ~few | few):
        outcome = protects(replace(tables, outcomes=tables.outcomes[~missing]), LINES)
        assert outcome.decision == UNDECIDED and np.isnan(outcome.effect)


def test_agreement_of_all_prompts_is_no_certainty():
    estimate = crossed_mean(np.zeros((3, 10)), 0.95)
    assert estimate.value == 0 and estimate.low < -0.05 < 0.05 < estimate.high
    assert np.isnan(crossed_mean(np.ones((1, 10)), 0.95).low)


def movement(inside, n_seeds=3, spread=0.05):
    """Tables in which the region, a tenth of two matrices, has so many times its share of the change."""
    random, rows = np.random.default_rng(0), []
    for seed in range(n_seeds):
        share = 0.1 * (inside + random.normal(0, spread))
        rows += [("rewound_refined", 0.001, seed, m, 100, 10, 2.0, 2 * share) for m in ("0.q", "0.k")]
    columns = ["condition", "learning_rate", "seed", "matrix", "n_weights", "n_inside", "change", "change_inside"]
    return Constrained(moved=pd.DataFrame(rows, columns=columns))


@pytest.mark.parametrize(("inside", "decision"), [(2.0, HOLDS), (1.0, FAILS), (1.2, UNDECIDED)])
def test_a_region_is_where_fine_tuning_moves_if_it_has_more_than_its_share(inside, decision):
    tables = movement(inside)
    assert moves(tables, LINES).decision == decision
    assert concentrations(tables.moved) == pytest.approx([inside] * 3, abs=0.2)


def test_movement_of_one_seed_decides_nothing():
    assert moves(movement(2.0, n_seeds=1), LINES).decision == UNDECIDED


def test_the_mean_over_seeds_has_students_interval():
    estimate = mean_over_seeds(np.array([1.0, 2.0, 3.0]), 0.95)
    assert (estimate.value, estimate.high - estimate.value) == pytest.approx((2.0, 4.302653 / np.sqrt(3)))


def test_tables_of_a_model_and_method_have_what_freezes_nothing():
    table = pd.DataFrame(
        {"model": ["a", "a", "a", "b"], "method": ["", "snip", "wanda", "snip"], "condition": list("wxyz")}
    )
    assert list(Constrained(rates=table).of("a", "snip").rates["condition"]) == ["w", "x"]
