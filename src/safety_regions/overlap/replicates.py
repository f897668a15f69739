"""How alike regions are that should be: of two halves of one set's prompts, of other draws, with other responses.

IoU of the halves of one set is the ceiling of what two sets could reach with as many prompts; between halves of
different sets the same is counted, so that both are at one number of prompts. The chance floor is that of
`safety_regions.overlap.tables`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from safety_regions.config.variants import Variant
from safety_regions.overlap.counts import Counts
from safety_regions.overlap.tables import pair_table


@dataclass(frozen=True)
class Facts:
    """What is known of one compared region."""

    prompts: Sequence[str]
    """The prompts that it was identified from."""
    harmless: bool
    """Whether its set is a utility set."""


def replicate_table(
    kind: str, members: Mapping[str, Variant], facts: Mapping[Variant, Facts], counts: Counts, p: float
) -> pd.DataFrame:
    """One row per pair of a group and condition: raw at every q, refined with the union of the utility regions at
    fraction p.

    `members`: the variant by the name under which its region was counted. Columns: kind; a, b (sets), variant_a,
    variant_b; harmless_a, harmless_b; n_samples_a, n_samples_b; shared_prompts, the share of the smaller one's prompts
    that the other has too; then those of `pair_table` without units.
    """
    pairs = pair_table(counts, p)
    pairs = pairs[pairs["scope"] == "all"].drop(columns=["scope", "unit"])
    columns: dict[str, list] = {}
    for a, b in zip(pairs["a"], pairs["b"], strict=True):
        for name, value in _described(members[a], members[b], facts).items():
            columns.setdefault(name, []).append(value)
    known = pd.DataFrame({"kind": kind} | columns, index=pairs.index)
    return pd.concat([known, pairs.drop(columns=["a", "b"])], axis=1)


def _described(a: Variant, b: Variant, facts: Mapping[Variant, Facts]) -> dict:
    return {
        "a": a.set,
        "b": b.set,
        "variant_a": a.label,
        "variant_b": b.label,
        "harmless_a": facts[a].harmless,
        "harmless_b": facts[b].harmless,
        "n_samples_a": len(facts[a].prompts),
        "n_samples_b": len(facts[b].prompts),
        "shared_prompts": shared(facts[a].prompts, facts[b].prompts),
    }


def shared(a: Sequence[str], b: Sequence[str]) -> float:
    """The share of the distinct prompts of the smaller one that the other has too, in [0, 1]; NaN if one is empty."""
    smaller, larger = sorted((set(a), set(b)), key=len)
    return len(smaller & larger) / len(smaller) if smaller else float("nan")
