"""How many prompts the sets share: shared prompts raise the overlap of regions by themselves."""

from itertools import combinations_with_replacement
from pathlib import Path

import pandas

from safety_regions.data.duplicates import NearIndex, Words, normalise, words_of
from safety_regions.files import atomic_path


def prompt_overlap(sets: dict[str, list[dict]], near_duplicate: float) -> pandas.DataFrame:
    """One row for each pair of sets, and for each set with itself, in the order of `sets`.

    `n_a`, `n_b`: prompts. `exact`: distinct normalised prompts found in both. `near_a`: share of a's prompts, in [0,
    1], with a prompt in b of word-set Jaccard similarity >= `near_duplicate`; `near_b` the reverse. For a set with
    itself, `exact` counts the prompts that repeat one before them, and `near` asks for another prompt of the set.
    """
    texts = {name: [normalise(row["prompt"]) for row in rows] for name, rows in sets.items()}
    words = {name: [words_of(row["prompt"]) for row in rows] for name, rows in sets.items()}
    indexes = {name: _index(members, near_duplicate) for name, members in words.items()}
    table = []
    for a, b in combinations_with_replacement(sets, 2):
        shared = len(texts[a]) - len(set(texts[a])) if a == b else len(set(texts[a]) & set(texts[b]))
        near_a, near_b = _near(words[a], indexes[b], a == b), _near(words[b], indexes[a], a == b)
        table.append((a, b, len(texts[a]), len(texts[b]), shared, near_a, near_b))
    return pandas.DataFrame(table, columns=["a", "b", "n_a", "n_b", "exact", "near_a", "near_b"])


def _index(members: list[Words], near_duplicate: float) -> NearIndex:
    index = NearIndex(members, near_duplicate)
    for number, words in enumerate(members):
        index.add(number, words)
    return index


def _near(members: list[Words], index: NearIndex, itself: bool) -> float:
    found = [any(not itself or key != i for key in index.find(words)) for i, words in enumerate(members)]
    return sum(found) / len(found) if found else 0.0


def write_table(table: pandas.DataFrame, path: Path) -> None:
    """Write a CSV, the same bytes on every machine."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6f")
