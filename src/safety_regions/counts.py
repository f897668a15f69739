"""How many elements the regions of one model and method share, counted on packed words, one matrix at a time.

All pairs of sets, at every fraction, before and after refinement, are counted in one pass over the region files; what is
held in memory is one matrix of each region, packed, and the counts.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt64

from safety_regions.errors import UserError
from safety_regions.progress import progress
from safety_regions.refine import refine
from safety_regions.regions import Header, Region, Words, at_least, open_region
from safety_regions.select import level_of

UNION = "union"
"""Names the union of all utility regions, the default for refinement."""
BLOCK_WORDS = 8192
"""Words of each region that are looked at in one step, under all conditions together: what a processor has near at hand."""


@dataclass(frozen=True)
class Condition:
    """One way to look at the safety regions: at fraction q, raw or refined with a utility region at fraction p."""

    q: float
    p: float | None = None
    utility: str = ""

    @property
    def stage(self) -> str:
        """`raw` or `refined`."""
        return "refined" if self.utility else "raw"


@dataclass(frozen=True)
class Counts:
    """Counts of all regions of one model and method; the last axes are matrices and sets."""

    header: Header
    safety: list[str]
    utility: list[str]
    orders: list[list[int]]
    """Orders of the safety sets in which the n-way overlap grows."""
    pairs: dict[Condition, Int64[np.ndarray, "matrices sets sets"]]
    """Elements in both sets, for a <= b; the diagonal holds the sizes."""
    nway: dict[Condition, Int64[np.ndarray, "matrices orders n 2"]]
    """Elements in all, and in any, of the first n+1 sets of each order."""
    removed: dict[tuple[str, float], Int64[np.ndarray, " matrices"]]
    """Size of each utility region (and of their union) at each fraction p."""


def count(
    safety: dict[str, Path], utility: dict[str, Path], p: float, orders: list[list[int]], doing: str = "overlap"
) -> Counts:
    """Count the overlaps of the safety regions, raw and refined with each utility region and with their union.

    n-way overlaps are counted raw at every q, and refined with the union at fraction `p` at every q. Raises `UserError`
    if the regions do not cover the same matrices with the same grid and scope.
    """
    with ExitStack() as stack:
        regions = {name: stack.enter_context(open_region(path)) for name, path in {**safety, **utility}.items()}
        header = _common_header(list(regions.values()))
        tables = Counts(header, list(safety), list(utility), orders, {}, {}, {})
        with progress(len(header.shapes), doing, "matrices") as bar:
            for number, name in enumerate(header.shapes):
                _count_matrix(tables, regions, name, number, p)
                bar.update(1)
    return tables


def _count_matrix(tables: Counts, regions: dict[str, Region], name: str, number: int, p: float) -> None:
    grid, n, n_orders = tables.header.grid, len(tables.safety), len(tables.orders)
    planes = {set_: regions[set_].planes(name) for set_ in regions}
    removals = [(set_, fraction) for fraction in grid for set_ in (*tables.utility, UNION)]
    removed = _removed(planes, tables)
    for removal, words in zip(removals, removed[1:], strict=True):
        _slot(tables.removed, removal, tables, ())[number] = _popcount(words)
    union = removed[1 + removals.index((UNION, p))]
    for q in grid:
        safety = np.stack([at_least(planes[set_], level_of(grid, q)) for set_ in tables.safety])
        conditions = [Condition(q), *(Condition(q, fraction, set_) for set_, fraction in removals)]
        for condition, counts in zip(conditions, refined_pair_counts(safety, removed), strict=True):
            _slot(tables.pairs, condition, tables, (n, n))[number] = counts
        for condition, words in ((Condition(q), safety), (Condition(q, p, UNION), refine(safety, union))):
            _slot(tables.nway, condition, tables, (n_orders, n, 2))[number] = nway_counts(words, tables.orders)


def _removed(planes: dict[str, list[Words]], tables: Counts) -> UInt64[np.ndarray, "conditions words"]:
    """What each condition removes: nothing from raw regions, then at each fraction each utility region, and their union."""
    sets = len(tables.utility)
    removed = np.zeros((1 + len(tables.header.grid) * (sets + 1), len(next(iter(planes.values()))[0])), np.uint64)
    at_fraction = removed[1:].reshape(-1, sets + 1, removed.shape[1])
    for fraction, masks in zip(tables.header.grid, at_fraction, strict=True):
        for mask, set_ in zip(masks, tables.utility, strict=False):
            mask[:] = at_least(planes[set_], level_of(tables.header.grid, fraction))
        masks[-1] = np.bitwise_or.reduce(masks[:-1])
    return removed


def refined_pair_counts(
    words: UInt64[np.ndarray, "sets words"], removed: UInt64[np.ndarray, "conditions words"]
) -> Int64[np.ndarray, "conditions sets sets"]:
    """`pair_counts` of the sets without what each condition removes."""
    counts = np.zeros((len(removed), len(words), len(words)), np.int64)
    step = max(1, BLOCK_WORDS // len(removed))
    for start in range(0, words.shape[1], step):
        counts += pair_counts(refine(words[:, start : start + step], removed[:, None, start : start + step]))
    return counts


def pair_counts(words: UInt64[np.ndarray, "*conditions sets words"]) -> Int64[np.ndarray, "*conditions sets sets"]:
    """|A_i and A_j| for i <= j, zeros below the diagonal."""
    n = words.shape[-2]
    counts = np.zeros((*words.shape[:-1], n), np.int64)
    for i in range(n):
        shared = np.bitwise_count(words[..., i : i + 1, :] & words[..., i:, :])
        counts[..., i, i:] = shared.sum(axis=-1, dtype=np.int64)
    return counts


def nway_counts(
    words: UInt64[np.ndarray, "sets words"], orders: Sequence[Sequence[int]]
) -> Int64[np.ndarray, "orders n 2"]:
    """|intersection| and |union| of the first 1, 2, ... sets of each order."""
    counts = np.zeros((len(orders), len(words), 2), np.int64)
    step = max(1, BLOCK_WORDS // len(orders))
    for start in range(0, words.shape[1], step):
        grown = words[:, start : start + step][np.array(orders)]
        counts[..., 0] += np.bitwise_count(np.bitwise_and.accumulate(grown, axis=1)).sum(axis=-1, dtype=np.int64)
        counts[..., 1] += np.bitwise_count(np.bitwise_or.accumulate(grown, axis=1)).sum(axis=-1, dtype=np.int64)
    return counts


def _slot(table: dict, key, tables: Counts, shape: tuple[int, ...]) -> np.ndarray:
    if key not in table:
        table[key] = np.zeros((len(tables.header.shapes), *shape), np.int64)
    return table[key]


def _popcount(words: np.ndarray) -> int:
    return int(np.bitwise_count(words).sum(dtype=np.int64))


def _common_header(regions: list[Region]) -> Header:
    first = regions[0]
    for other in regions[1:]:
        for field in ("grid", "scope", "granularity", "shapes"):
            if getattr(first.header, field) != getattr(other.header, field):
                raise UserError(f"{field} differs from that of {first.path}", where=str(other.path), expected="regions of one model, grid and scope", hint="regions of different models or grids cannot be compared")  # fmt: skip
    return first.header


def sample_orders(n_sets: int, n_orders: int, seed: int) -> list[list[int]]:
    """Distinct orders of the sets: at most `n_orders`, or every order if there are not more. The listed order comes first."""
    generator = np.random.Generator(np.random.PCG64(seed))
    orders = {tuple(range(n_sets)): None}
    n_possible = 1
    for factor in range(2, n_sets + 1):
        n_possible = min(n_possible * factor, n_orders)
    while len(orders) < n_possible:
        orders.setdefault(tuple(int(i) for i in generator.permutation(n_sets)))
    return [list(order) for order in orders]
