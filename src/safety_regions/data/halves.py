"""Halves of a set that share no prompt: regions of both say how far a region depends on which prompts were drawn."""

from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np

from safety_regions.data.duplicates import normalise
from safety_regions.errors import UserError

Places = list[int]
"""Where the rows of one prompt are."""


def half_of(rows: Sequence[dict], split: int, half: int) -> list[dict]:
    """The rows of half 0 or 1 of a split, in their order.

    Rows whose prompts are equal after `normalise` stay together, so halves of one split share no prompt; they hold all
    rows together. Their numbers of distinct prompts differ by at most one. Their numbers of rows differ by no more than
    the most that one prompt has: prompts are dealt two at a time, those with most rows first, and of two the one with
    more rows goes to the half that has fewer. Ties go to half 0 first, and among prompts with as many rows the order is
    that of their first rows in split 0, and that of PCG64(s)'s permutation of it in split s > 0. So without repeats
    split 0 has rows at even positions in half 0 and those at odd ones in half 1.

    Raises `UserError` for another split or half, and for fewer than two distinct prompts.
    """
    if type(split) is not int or split < 0 or half not in (0, 1):
        raise UserError(f"half {half} of split {split}", expected="half 0 or 1 of a split from 0 on")
    prompts = _places(rows)
    if len(prompts) < 2:
        raise UserError(
            f"{len(rows)} rows with {len(prompts)} distinct prompts to halve",
            expected="at least 2 distinct prompts",
            hint="raise datasets.n_samples, or leave out the halves",
        )
    if split > 0:
        order = np.random.Generator(np.random.PCG64(split)).permutation(len(prompts))
        prompts = [prompts[i] for i in order]
    return [rows[place] for place in sorted(chain.from_iterable(_deal(prompts)[half]))]


def _places(rows: Sequence[dict]) -> list[Places]:
    """Of each distinct prompt, in the order of their first rows."""
    places: dict[str, Places] = {}
    for place, row in enumerate(rows):
        places.setdefault(normalise(row["prompt"]), []).append(place)
    return list(places.values())


def _deal(prompts: list[Places]) -> tuple[list[Places], list[Places]]:
    """The two halves of the prompts; see `half_of`."""
    halves: tuple[list[Places], list[Places]] = ([], [])
    n_rows = [0, 0]
    # Sorting is stable in reverse, too. An odd one out is dealt beside a prompt without rows.
    by_rows = sorted(prompts, key=len, reverse=True)
    no_rows: Places = []
    for more, fewer in zip_longest(by_rows[::2], by_rows[1::2], fillvalue=no_rows):
        first = int(len(more) > len(fewer) and n_rows[0] > n_rows[1])
        for half, places in ((first, more), (1 - first, fewer)):
            halves[half].append(places)
            n_rows[half] += len(places)
    return halves
