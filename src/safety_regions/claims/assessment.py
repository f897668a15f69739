"""All tables of a run in; estimates, confounds, response controls and verdicts out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.confounds import COLUMNS as CONFOUND_COLUMNS
from safety_regions.claims.confounds import confound_rows
from safety_regions.claims.constrained import Constrained
from safety_regions.claims.drop_curve import COLUMNS as DROP_COLUMNS
from safety_regions.claims.drop_curve import drop_rows
from safety_regions.claims.estimates import COLUMNS as ESTIMATE_COLUMNS
from safety_regions.claims.estimates import Measured, Tables, estimate_rows, estimates, measure, measure_along_p
from safety_regions.claims.halves import COLUMNS as HALVES_COLUMNS
from safety_regions.claims.halves import halves_rows
from safety_regions.claims.influence import COLUMNS as INFLUENCE_COLUMNS
from safety_regions.claims.influence import influence_rows
from safety_regions.claims.multiplicity import benjamini_hochberg, holm
from safety_regions.claims.render import to_json
from safety_regions.claims.responses import COLUMNS as RESPONSE_COLUMNS
from safety_regions.claims.responses import response_rows
from safety_regions.claims.rows import whole_model
from safety_regions.claims.rules import TESTS, Evidence
from safety_regions.claims.stability import COLUMNS as STABILITY_COLUMNS
from safety_regions.claims.stability import stability_rows
from safety_regions.claims.utility_sets import COLUMNS as UTILITY_COLUMNS
from safety_regions.claims.utility_sets import utility_rows
from safety_regions.claims.verdict import Verdict
from safety_regions.config.claims import Claims
from safety_regions.config.method_catalogue import CATALOGUE as METHODS
from safety_regions.config.model_method import ModelMethod

COLUMNS = {
    "estimates": ESTIMATE_COLUMNS,
    "confounds": CONFOUND_COLUMNS,
    "responses": RESPONSE_COLUMNS,
    "drops": DROP_COLUMNS,
    "utilities": UTILITY_COLUMNS,
    "halves": HALVES_COLUMNS,
    "influence": INFLUENCE_COLUMNS,
    "stability": STABILITY_COLUMNS,
}
"""Of each table of an `Assessment`."""


@dataclass(frozen=True)
class Assessment:
    """What the numbers of a run mean. The tables are those of estimates.csv, confounds.csv, responses.csv, drop.csv,
    utilities.csv, halves.csv, influence.csv and stability.csv."""

    estimates: pd.DataFrame
    confounds: pd.DataFrame
    responses: pd.DataFrame
    drops: pd.DataFrame
    utilities: pd.DataFrame
    halves: pd.DataFrame
    influence: pd.DataFrame
    stability: pd.DataFrame
    verdicts: list[Verdict]

    def to_json(self) -> str:
        """The text of verdicts.json."""
        return to_json(self.verdicts)


def assess(
    config: dict,
    overlaps: Mapping[str, Mapping[str, pd.DataFrame]],
    replicates: Mapping[str, pd.DataFrame],
    evaluated: pd.DataFrame,
    prompt_overlap: pd.DataFrame,
    sets: Mapping[str, Mapping[str, dict]],
    outcomes: pd.DataFrame,
    constrained: Constrained | None = None,
) -> Assessment:
    """Estimates, confounds and verdicts of every `<model>.<method>` in `overlaps`, in their order.

    `config`: a run's configuration; without `claims` the default thresholds. `overlaps`: the tables `pairs`, `nway`,
    `levels` and `placebo`. `replicates`: for those that have it. `evaluated`: evaluate.csv of all, with columns model
    and method. `prompt_overlap`: pairs of sets. `sets`: facts of each set by name. `outcomes`: outcomes.csv of all,
    with columns model and method. `replicates`, `evaluated`, `prompt_overlap` and `outcomes` may be empty: what they
    would tell stays empty or is not run. `constrained`: the tables of all fine-tunings, with columns model and method.
    """
    lines = Claims.model_validate(config.get("claims", {}))
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in COLUMNS}
    verdicts: list[Verdict] = []
    for name, overlap in overlaps.items():
        model, method = ModelMethod.parse(name)
        asked = (_rows_of(table, model, method) for table in (evaluated, outcomes))
        tables = _tables(config, method, overlap, replicates.get(name, pd.DataFrame()), *asked)
        if constrained is not None:
            tables = replace(tables, constrained=constrained.of(model, method))
        measured = measure(tables, lines.confidence)
        about = (model, method, tables)
        found["estimates"].append(estimate_rows(*about, measured))
        found["influence"].append(influence_rows(*about, measured))
        found["confounds"].append(confound_rows(*about, prompt_overlap, sets.get(name, {})))
        found["responses"].append(response_rows(*about))
        along_p = measure_along_p(tables, measured, lines.confidence)
        found["drops"].append(drop_rows(model, method, tables.q, along_p))
        by_utility = (overlap["pairs"], tables.sets, tables.q, tables.p, lines.confidence)
        found["utilities"].append(utility_rows(model, method, *by_utility))
        found["halves"].append(halves_rows(*about))
        decided = decide(model, method, tables, measured, lines)
        found["stability"].append(stability_rows(tables, decided, lines, along_p))
        verdicts += decided
    return Assessment(
        **{name: _joined(parts, COLUMNS[name]) for name, parts in found.items()}, verdicts=adjusted(verdicts)
    )


def decide(model: str, method: str, tables: Tables, measured: Measured, lines: Claims) -> list[Verdict]:
    """The verdict of every claim of the catalogue about one model and method, and what it would be without each set."""
    evidence = Evidence(tables, measured, lines)
    left = {}
    if len(tables.sets) > 2:
        own = tables.grid.own
        for number, name in enumerate(tables.sets):
            left[name] = Evidence(tables.without(name), estimates(own.without(number), lines.confidence), lines)
    return [
        Verdict(
            claim,
            model,
            method,
            TESTS[claim.id](evidence),
            error_rate=1 - lines.confidence,
            without={name: TESTS[claim.id](of) for name, of in left.items()} if claim.of_sets else {},
        )
        for claim in CATALOGUE
    ]


def adjusted(verdicts: list[Verdict]) -> list[Verdict]:
    """The verdicts with p-values adjusted for all of them."""
    p_values = np.array([verdict.outcome.p_value for verdict in verdicts], float)
    both = zip(verdicts, holm(p_values), benjamini_hochberg(p_values), strict=True)
    return [replace(verdict, p_holm=float(of_holm), p_bh=float(of_bh)) for verdict, of_holm, of_bh in both]


def _tables(
    config: dict,
    method: str,
    overlap: Mapping[str, pd.DataFrame],
    replicates: pd.DataFrame,
    evaluated: pd.DataFrame,
    outcomes: pd.DataFrame,
) -> Tables:
    thresholds, info = config["thresholds"], METHODS[method]
    return Tables(
        whole_model(overlap["pairs"]),
        overlap["nway"],
        replicates,
        evaluated,
        list(config["datasets"]["safety"]),
        thresholds["q"],
        thresholds["p"],
        reads_responses=info.reads_responses,
        sizes_vary=info.shape != "range",
        levels=overlap["levels"],
        placebo=overlap["placebo"],
        outcomes=outcomes,
    )


def _rows_of(evaluated: pd.DataFrame, model: str, method: str) -> pd.DataFrame:
    if not len(evaluated):
        return evaluated
    return evaluated[(evaluated["model"] == model) & (evaluated["method"] == method)]


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    # An empty part has no types of its own, and would take those of the others away.
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)
