"""What else two sets have in common: does the overlap of their regions go with it?

Spearman's rank correlation over the pairs of sets. Pairs share sets, so its usual p-value is wrong for the reason that
`safety_regions.claims.jackknife` gives; the Mantel test (Mantel 1967) shuffles the sets' labels of one of the two
tables instead, which keeps what every set does to all of its pairs.
"""

from collections.abc import Mapping
from functools import cache
from itertools import permutations

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from safety_regions.claims.estimates import Tables
from safety_regions.claims.jackknife import NAN, square
from safety_regions.claims.rows import at
from safety_regions.overlap.counts import STAGES

MOST_EXACT = 7
"""Sets up to which all orders of the labels are counted: 5040."""
N_PERMUTATIONS = 4999
FACTS = {
    "response length": "mean_response_tokens",
    "share refused": "share_refused",
    "distinct responses": "n_distinct_responses",
    "prompts": "n_samples",
}
"""By covariate: the fact of each set in which a pair may differ."""
COLUMNS = ["model", "method", "stage", "covariate", "rho", "p_value", "n_pairs"]


def confound_rows(
    model: str, method: str, tables: Tables, prompt_overlap: pd.DataFrame, facts: Mapping[str, dict]
) -> pd.DataFrame:
    """One row per stage and covariate: rho of IoU and covariate over pairs of safety sets, its two-sided p-value, and
    over how many pairs. Undefined (NaN) for fewer than three sets and for what is the same in all pairs.
    """
    rows = []
    covariates = pair_covariates(tables.sets, prompt_overlap, facts)
    for stage in STAGES:
        iou = square(at(tables.pairs, stage, tables.q, tables.p), "iou", tables.sets)
        for covariate, values in covariates.items():
            rho, p_value, n_pairs = mantel(iou, values)
            rows.append((model, method, stage, covariate, rho, p_value, n_pairs))
    return pd.DataFrame(rows, columns=COLUMNS)


def pair_covariates(
    sets: list[str], prompt_overlap: pd.DataFrame, facts: Mapping[str, dict]
) -> dict[str, Float64[np.ndarray, "sets sets"]]:
    """By name, what each pair of sets has in common, or in what it differs.

    `facts`: by set, as in the overlap's receipt.
    """
    covariates = {}
    if len(prompt_overlap):
        smaller = prompt_overlap[["n_a", "n_b"]].min(axis=1)
        exact = prompt_overlap["exact"] / smaller.where(smaller > 0)
        near = prompt_overlap[["near_a", "near_b"]].mean(axis=1)
        covariates["shared prompts"] = square(prompt_overlap.assign(value=exact), "value", sets)
        covariates["near-duplicate prompts"] = square(prompt_overlap.assign(value=near), "value", sets)
    told = [facts.get(name, {}) for name in sets]
    covariates["shared responses"] = np.array([[shared_responses(a, b) for b in told] for a in told], float)
    for name, key in FACTS.items():
        values = np.array([_number(facts.get(set_, {}).get(key)) for set_ in sets], float)
        covariates[f"{name}, difference"] = np.abs(values[:, None] - values)
        covariates[f"{name}, mean"] = (values[:, None] + values) / 2
    return covariates


def shared_responses(a: dict, b: dict) -> float:
    """The share of responses that two sets have in common: sum over texts of the smaller of their shares in the two.

    Of texts that both sets repeat (`repeated_responses` of their facts, by text): a set of which 82 of 100 responses
    are one sentence shares .82 with another of that kind. NaN where a set's are not known.
    """
    repeated = [of.get("repeated_responses") for of in (a, b)]
    if None in repeated:
        return NAN
    first, second = ({text: n / of["n_samples"] for text, n in of["repeated_responses"].items()} for of in (a, b))
    return float(sum(min(share, second.get(text, 0.0)) for text, share in first.items()))


def mantel(a: Float64[np.ndarray, "sets sets"], b: Float64[np.ndarray, "sets sets"]) -> tuple[float, float, int]:
    """Spearman's rho over the pairs of sets, its p-value by shuffling the sets of `b`, and the number of pairs.

    p = share of the orders of labels, or of `N_PERMUTATIONS` and the one found, with |rho| at least as large. Sets with
    undefined pairs are left out, those with most first.
    """
    kept = _complete(np.isnan(a) | np.isnan(b))
    upper = np.triu_indices(len(kept), k=1)
    n_pairs = len(upper[0])
    if len(kept) < 3:
        return NAN, NAN, n_pairs
    x, y = (_ranks(m[np.ix_(kept, kept)][upper]) for m in (a, b))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return NAN, NAN, n_pairs
    x, y = x - x.mean(), y - y.mean()
    ranks = np.zeros((len(kept), len(kept)))
    ranks[upper] = y
    ranks += ranks.T
    orders = _orders(len(kept))
    shuffled = ranks[orders[:, upper[0]], orders[:, upper[1]]] @ x
    norm = float(np.sqrt((x @ x) * (y @ y)))
    extreme = np.abs(shuffled) >= abs(x @ y) - 1e-9 * norm
    return float(x @ y) / norm, float(extreme.mean()), n_pairs


@cache
def _orders(n: int) -> Int64[np.ndarray, "orders sets"]:
    """All orders of few labels, or that which they have and many random ones."""
    if n <= MOST_EXACT:
        return np.array(list(permutations(range(n))), np.int64)
    random = np.random.default_rng(0)
    return np.stack([np.arange(n), *(random.permutation(n) for _ in range(N_PERMUTATIONS))]).astype(np.int64)


def _complete(undefined: np.ndarray) -> Int64[np.ndarray, " kept"]:
    """Sets among which every pair is defined."""
    undefined = undefined.copy()
    np.fill_diagonal(undefined, False)
    kept = np.arange(len(undefined))
    while undefined.any():
        worst = int(undefined.sum(axis=1).argmax())
        kept, undefined = np.delete(kept, worst), np.delete(np.delete(undefined, worst, 0), worst, 1)
    return kept


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else NAN


def _ranks(values: Float64[np.ndarray, " pairs"]) -> Float64[np.ndarray, " pairs"]:
    """Ranks from 1; equal values, up to rounding, share their mean rank."""
    return pd.Series(values.round(12)).rank().to_numpy(float)
