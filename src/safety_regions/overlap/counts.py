"""How many elements the regions of one model and method share, counted on packed words, one matrix at a time.

All pairs of sets, at every fraction, before and after refinement, are counted in one pass over the region files; what
is held in memory is one matrix of each region, packed, and the counts.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from safety_regions.errors import UserError
from safety_regions.kernels import n_threads
from safety_regions.progress import progress
from safety_regions.regions.format import Header, Region, open_region, planes_of
from safety_regions.regions.select import level_of

UNION = "union"
"""Names the union of all utility regions, the default for refinement."""
STAGES = ("raw", "refined")
"""Regions before and after refinement."""
Subsets = tuple[Int64[np.ndarray, "subsets 2"], Int64[np.ndarray, "orders n"]]
"""What `grown_subsets` gives."""


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
    agreed: dict[Condition, Int64[np.ndarray, "matrices sets"]]
    """Elements in at least 1, 2, ... all of the sets, of the conditions of `nway`."""
    removed: dict[tuple[str, float], Int64[np.ndarray, " matrices"]]
    """Size of each utility region (and of their union) at each fraction p."""


def count(
    safety: dict[str, Path],
    utility: dict[str, Path],
    p: float,
    orders: list[list[int]],
    doing: str = "overlap",
    removals: Sequence[tuple[str, float]] | None = None,
) -> Counts:
    """Count the overlaps of the safety regions, raw and refined, at every fraction q of the grid.

    `removals` are the refinements: (utility set or `UNION`, its fraction); None for each set and their union at every
    fraction. n-way overlaps and the agreement of all sets are counted raw, and refined with (`UNION`, p) if that is
    among the removals; without `orders` none are. Raises `UserError` if the regions do not cover the same matrices with
    the same grid and scope.
    """
    with ExitStack() as stack:
        regions = {name: stack.enter_context(open_region(path)) for name, path in {**safety, **utility}.items()}
        header = common_header(list(regions.values()))
        if removals is None:
            removals = [(set_, fraction) for fraction in header.grid for set_ in (*utility, UNION)]
        tables = _empty(header, list(safety), list(utility), orders, removals, p)
        subsets = grown_subsets(orders, len(safety))
        with progress(len(header.shapes), doing, "matrices") as bar, ThreadPoolExecutor(n_threads()) as pool:
            for _ in pool.map(lambda at: _count_matrix(tables, regions, subsets, *at), enumerate(header.shapes)):
                bar.update(1)
    return tables


def _empty(
    header: Header,
    safety: list[str],
    utility: list[str],
    orders: list[list[int]],
    removals: Sequence[tuple[str, float]],
    p: float,
) -> Counts:
    """Zeros for every condition."""
    conditions = [Condition(q, fraction, set_) for q in header.grid for set_, fraction in [("", None), *removals]]
    whole = [c for c in conditions if orders and c.utility in ("", UNION) and c.p in (None, p)]
    n, n_matrices = len(safety), len(header.shapes)
    pairs = {c: np.zeros((n_matrices, n, n), np.int64) for c in conditions}
    nway = {c: np.zeros((n_matrices, len(orders), n, 2), np.int64) for c in whole}
    agreed = {c: np.zeros((n_matrices, n), np.int64) for c in whole}
    removed = {r: np.zeros(n_matrices, np.int64) for r in removals}
    return Counts(header, safety, utility, orders, pairs, nway, agreed, removed)


def _count_matrix(tables: Counts, regions: dict[str, Region], subsets: Subsets, number: int, name: str) -> None:
    """Fill in the counts of one matrix."""
    from safety_regions.kernels import bits

    grid, n, removals = tables.header.grid, len(tables.safety), list(tables.removed)
    conditions = [("", None), *removals]
    whole = [c for c, (set_, fraction) in enumerate(conditions) if Condition(grid[0], fraction, set_) in tables.nway]
    pairs = np.zeros((len(grid), len(conditions), n, n), np.int64)
    steps, passed = subsets
    grown = np.zeros((len(grid), len(whole), len(steps), 2), np.int64)
    agreed = np.zeros((len(grid), len(whole), n), np.int64)
    removed = np.zeros(len(removals), np.int64)
    bits.count_conditions(
        planes_of([regions[set_] for set_ in (*tables.safety, *tables.utility)], name),
        n,
        np.array([level_of(grid, q) for q in grid]),
        np.array([[set_ in (own, UNION) for own in tables.utility] for set_, _ in removals], bool).reshape(
            len(removals), -1
        ),
        np.array([level_of(grid, fraction) for _, fraction in removals], np.int64),
        steps,
        np.array(whole, np.int64),
        *(pairs, removed, grown, agreed),
    )
    for k, q in enumerate(grid):
        for c, (set_, fraction) in enumerate(conditions):
            tables.pairs[Condition(q, fraction, set_)][number] = pairs[k, c]
        for m, c in enumerate(whole):
            set_, fraction = conditions[c]
            tables.nway[Condition(q, fraction, set_)][number] = grown[k, m][passed]
            tables.agreed[Condition(q, fraction, set_)][number] = agreed[k, m]
    for removal, size in zip(removals, removed, strict=True):
        tables.removed[removal][number] = size


def common_header(regions: list[Region]) -> Header:
    """The header of the first region, whose matrices, grid and scope all others have too.

    Raises `UserError` for one that has others.
    """
    first = regions[0]
    for other in regions[1:]:
        for field in ("grid", "scope", "granularity", "shapes"):
            if getattr(first.header, field) != getattr(other.header, field):
                raise UserError(
                    f"{field} differs from that of {first.path}",
                    where=str(other.path),
                    expected="regions of one model, grid and scope",
                    hint="regions of different models or grids cannot be compared",
                )
    return first.header


def sample_orders(n_sets: int, n_orders: int, seed: int) -> list[list[int]]:
    """Distinct orders of the sets: at most `n_orders`, or every order if there are not more.

    The listed order comes first, then as many that every set ends one, which tells what it keeps of all the others.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    orders = {tuple(range(n_sets)): None}
    for last in range(min(n_sets, n_orders) - 1):
        others = [i for i in generator.permutation(n_sets).tolist() if i != last]
        orders.setdefault((*others, last))
    n_possible = 1
    for factor in range(2, n_sets + 1):
        n_possible = min(n_possible * factor, n_orders)
    while len(orders) < n_possible:
        orders.setdefault(tuple(int(i) for i in generator.permutation(n_sets)))
    return [list(order) for order in orders]


def grown_subsets(orders: list[list[int]], n_sets: int) -> Subsets:
    """The subsets that the orders pass through, each once: how each is built, and which is passed after n+1 sets of an
    order.

    Subset 0 is empty; subset t > 0 is made of an earlier one, steps[t, 0], and a set, steps[t, 1].
    """
    steps, places = [(0, 0)], {frozenset[int](): 0}
    passed = np.zeros((len(orders), n_sets), np.int64)
    for number, order in enumerate(orders):
        before = 0
        for n, added in enumerate(order):
            subset = frozenset(order[: n + 1])
            if subset not in places:
                places[subset] = len(steps)
                steps.append((before, added))
            before = passed[number, n] = places[subset]
    return np.array(steps, np.int64), passed
