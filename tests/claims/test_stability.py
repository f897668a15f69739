"""Verdicts under other fractions and without sets: what changes with a choice is told from what does not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from safety_regions.claims.assessment import decide
from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.constrained import Constrained
from safety_regions.claims.estimates import Tables, measure, measure_along_p
from safety_regions.claims.planted import PlantedWorld, Q, draw
from safety_regions.claims.stability import COLUMNS, OTHER_P, OTHER_Q, WITHOUT, stability_rows
from safety_regions.claims.verdict import HOLDS, NOT_APPLICABLE, NOT_RUN, Verdict
from safety_regions.config.claims import Claims

LINES = Claims()
OTHERS = (0.01, 0.2)


def with_fractions(tables: Tables, iou: float) -> Tables:
    """The tables with `OTHERS` among q and p, where the raw IoU is as it is, and the refined one `iou`."""
    raw = tables.pairs["stage"] == "raw"
    pairs, nway = [tables.pairs], [tables.nway]
    for fraction in OTHERS:
        pairs += [tables.pairs[raw].assign(q=fraction), tables.pairs[~raw & tables.pairs["q"].eq(Q)].assign(iou=iou)]
        pairs[-1]["p"] = fraction
        nway.append(tables.nway[tables.nway["stage"] == "raw"].assign(q=fraction))
    return replace(tables, pairs=pd.concat(pairs, ignore_index=True), nway=pd.concat(nway, ignore_index=True))


def rows_of(tables: Tables, verdicts: list[Verdict]) -> pd.DataFrame:
    measured = measure(tables, LINES.confidence)
    return stability_rows(tables, verdicts, LINES, measure_along_p(tables, measured, LINES.confidence))


def stability_of(tables: Tables) -> pd.DataFrame:
    return rows_of(tables, decide("m", "snip", tables, measure(tables, LINES.confidence), LINES))


@pytest.fixture(scope="module")
def planted() -> Tables:
    return draw(PlantedWorld(utility=0.5, spread=0.0), 5, 0)


def test_a_verdict_that_hangs_on_p_is_told_from_one_that_does_not(planted):
    """Planted: refinement takes all away at every other p; what raw regions share is the same at every q."""
    found = stability_of(with_fractions(planted, 0.0)).set_index(["claim", "varied"])
    drops = found.loc[("drops_when_refined", OTHER_P)]
    assert drops["p"].tolist() == list(OTHERS) and (drops["q"] == Q).all()
    assert (drops["verdict"] == HOLDS).all() and drops["effect"].tolist() == [1, 1]
    assert (drops["agrees"] == (found["verdict"]["drops_when_refined", ""] == HOLDS)).all()
    above = found.loc[("above_chance", OTHER_Q)]
    assert set(OTHERS) <= set(above["q"]) and above["q"].is_monotonic_increasing and above["agrees"].all()
    assert ("above_chance", OTHER_P) not in found.index


def test_every_set_is_left_out_once_and_the_verdicts_are_those_of_without(planted):
    verdicts = decide("m", "snip", planted, measure(planted, LINES.confidence), LINES)
    found = rows_of(planted, verdicts)
    for verdict in verdicts:
        rows = found[(found["claim"] == verdict.claim.id) & (found["varied"] == WITHOUT)]
        assert rows["verdict"].tolist() == [of.decision for of in verdict.without.values() if len(rows)]
        assert rows["without"].tolist() in ([], planted.sets)


def test_what_was_not_run_elsewhere_neither_agrees_nor_disagrees(planted):
    """Regions of all sets together are counted at one p, and no halves are at the smallest q here."""
    found = stability_of(with_fractions(planted, 0.0)).set_index(["claim", "varied"])
    together = found.loc[("nothing_common", OTHER_P)]
    assert (together["verdict"] == NOT_RUN).all() and together["agrees"].isna().all()
    noise = found.loc[("beyond_noise", OTHER_Q)].set_index("q")
    assert noise["verdict"][OTHERS[0]] == NOT_RUN and pd.isna(noise["agrees"][OTHERS[0]])


def test_claims_without_a_verdict_and_regions_of_one_size_have_no_rows(planted):
    found = stability_of(with_fractions(planted, 0.0))
    assert set(found["claim"]) == {claim.id for claim in CATALOGUE if claim.of_sets}
    ranges = stability_of(replace(with_fractions(planted, 0.0), sizes_vary=False))
    assert set(ranges["varied"]) == {"", WITHOUT} and NOT_APPLICABLE not in set(ranges["verdict"])
    nothing = rows_of(planted, [])
    assert nothing.empty and list(nothing.columns) == COLUMNS


def test_fine_tunings_are_of_the_fractions_of_the_run_and_say_nothing_of_others(planted):
    columns = ["condition", "learning_rate", "seed", "matrix", "n_weights", "n_inside", "change", "change_inside"]
    moved = [("rewound_refined", 0.001, seed, "0.q", 100, 10, 2.0, 0.8 + 0.01 * seed) for seed in range(3)]
    tables = replace(with_fractions(planted, 0.0), constrained=Constrained(moved=pd.DataFrame(moved, columns=columns)))
    found = stability_of(tables)
    rows = found[found["claim"] == "region_moves"]
    assert len(rows) > 1 and (rows["verdict"][rows["varied"] != ""] == NOT_RUN).all()


def test_the_verdict_of_the_run_stands_in_its_own_row(planted):
    found = stability_of(planted)
    own = found[found["varied"] == ""]
    assert own["agrees"].all() and (own["q"] == Q).all() and not own.duplicated(["claim"]).any()
    assert np.isfinite(own["effect"]).all()
