"""The tables of one model and method as matrices over the safety sets, one set of matrices for each two fractions.

Estimates are made over and over: without each set, at every other q, at every other p. A table is looked through once,
and what is told without a set is the matrices without its row and column.
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from safety_regions.claims.jackknife import places, sums_of_pairs, symmetric
from safety_regions.claims.placebo import Placebo, taken
from safety_regions.claims.retention import retention
from safety_regions.claims.rows import row_numbers
from safety_regions.claims.size_control import size_matched
from safety_regions.overlap.counts import STAGES, UNION

_NONE = np.zeros(0, np.int64)
Matrix = Float64[np.ndarray, "sets sets"]
Sums = Float64[np.ndarray, "2 sets sets"]
"""Sum and number of the values of every pair, above the diagonal and on it."""


@dataclass(frozen=True)
class StageMatrices:
    """One stage. IoU and floor are NaN where they are undefined."""

    n_rows: Matrix
    """Of the pair in the table of pairs, be its regions empty or not."""
    iou: Matrix
    floor: Matrix
    size: Matrix
    """Both regions' sizes together."""
    half_iou: Matrix
    half_floor: Matrix
    half_prompts: Sums
    seeds_iou: Matrix
    shared_prompts: Sums
    """Share of the prompts that regions of other seeds have in common."""

    def of(self, kept: Int64[np.ndarray, " kept"]) -> "StageMatrices":
        """Those of some sets, by their numbers."""
        return StageMatrices(*(getattr(self, field.name)[..., kept[:, None], kept] for field in fields(self)))


class Together:
    """What the refined regions of all sets together have in common, at one q and p.

    `rows`: those of the table `nway`.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows

    @cached_property
    def n_sets(self) -> int:
        """All of them; 0 if they were not compared."""
        return 0 if self._rows.empty else int(self._rows["n"].max())

    @cached_property
    def are_empty(self) -> bool:
        """Whether no region has an element."""
        return not self._rows["union"].sum()

    @cached_property
    def all_but_one_share(self) -> bool:
        """Whether all sets but one have an element in common, whichever that one is."""
        return bool(self._rows["intersection"][self._rows["n"] == self.n_sets - 1].sum())

    @cached_property
    def iou(self) -> float:
        """Of all sets."""
        return float(self._rows["iou"][self._rows["n"] == self.n_sets].mean())

    @cached_property
    def retention(self) -> pd.DataFrame:
        """By set what it keeps, and what it would keep by chance (`safety_regions.claims.retention`)."""
        return retention(self._rows)


@dataclass(frozen=True)
class Matrices:
    """Both stages at one q and p, and what refinement is held against."""

    stages: dict[str, StageMatrices]
    size_matched: Matrix
    """IoU of raw regions as small as the refined ones."""
    taken: Matrix
    """The share of each pair's regions that refinement takes out."""
    placebo: Float64[np.ndarray, "sets sets sets"]
    """IoU of the pair (a, b) without as much of a third set c."""

    together: Together
    """What the refined regions of all sets have in common, and of those alone is that: it is not of fewer."""

    def without(self, number: int) -> "Matrices":
        """Those of all sets but the one with this number."""
        kept = np.delete(np.arange(len(self.taken)), number)
        two = np.ix_(kept, kept)
        return Matrices(
            {stage: of.of(kept) for stage, of in self.stages.items()},
            self.size_matched[two],
            self.taken[two],
            self.placebo[np.ix_(kept, kept, kept)],
            self.together,
        )


class _Sheet:
    """A table of pairs of sets, of which the rows of a stage and its fractions are known by number."""

    def __init__(self, table: pd.DataFrame, columns: tuple[str, ...], sets: list[str]) -> None:
        self._n_sets = len(sets)
        self._ends = places(table, ("a", "b"), sets) if len(table) else np.zeros((2, 0), np.int64)
        self._values = {name: table[name].to_numpy(float) if len(table) else np.zeros(0) for name in columns}
        self.rows = {stage: row_numbers(table, stage) for stage in STAGES}

    def sums(self, column: str, stage: str, key: tuple[float, ...]) -> Sums:
        rows = self.rows[stage].get(key, _NONE)
        return sums_of_pairs(self._ends[:, rows], self._values[column][rows], self._n_sets)

    def matrix(self, column: str, stage: str, key: tuple[float, ...]) -> Matrix:
        return symmetric(*self.sums(column, stage, key))

    def numbers(self, stage: str, key: tuple[float, ...]) -> Matrix:
        rows = self.rows[stage].get(key, _NONE)
        return sums_of_pairs(self._ends[:, rows], np.ones(len(rows)), self._n_sets)[1]


class Grid:
    """The tables, looked through once: matrices at one q and every p, or at one p and every q.

    `sets` are the safety sets; rows about others tell nothing. The tables are those of
    `safety_regions.claims.estimates.Tables`, each of which may be empty.
    """

    def __init__(
        self,
        pairs: pd.DataFrame,
        replicates: pd.DataFrame,
        nway: pd.DataFrame,
        levels: pd.DataFrame,
        placebo: pd.DataFrame,
        sets: list[str],
        q: float,
        p: float,
    ) -> None:
        self._q, self._p = q, p
        if len(pairs):
            # A size is matched pair by pair, so where it is asked for alone.
            pairs = pairs[pairs["q"].eq(q) | pairs["p"].isna() | pairs["p"].eq(p)]
        kinds = replicates["kind"] if len(replicates) else None
        halves, seeds = (replicates if kinds is None else replicates[kinds.eq(kind)] for kind in ("halves", "seeds"))
        self._pairs = _Sheet(pairs, ("iou", "floor_iou", "size_a", "size_b"), sets)
        self._halves = _Sheet(halves, ("iou", "floor_iou", "n_samples_a", "n_samples_b"), sets)
        self._seeds = _Sheet(seeds, ("iou", "shared_prompts"), sets)
        self._nway, self._nway_rows = nway, row_numbers(nway, "refined")
        self._placebo = Placebo(placebo, sets)
        matched = pairs
        if len(pairs):
            refined = pairs[pairs["utility"].eq(UNION)]
            matched = refined.assign(iou=size_matched(levels, refined)["iou"].to_numpy())
        self._matched = _Sheet(matched, ("iou",), sets)
        self.all_p = sorted({key[1] for key in self._pairs.rows["refined"]})
        """Fractions of refinement, ascending."""

    @property
    def own(self) -> Matrices:
        """At the tables' own q and p."""
        return self._at(self._q, self._p)

    def at_q(self, q: float) -> Matrices:
        """At another q and the tables' own p."""
        return self._at(q, self._p)

    def at_p(self, p: float) -> Matrices:
        """At another p and the tables' own q."""
        return self._at(self._q, p)

    def _at(self, q: float, p: float) -> Matrices:
        raw, refined = (self._stage(stage, key) for stage, key in (("raw", (q,)), ("refined", (q, p))))
        amount = taken(raw.size, refined.size)
        return Matrices(
            {"raw": raw, "refined": refined},
            self._matched.matrix("iou", "refined", (q, p)),
            amount,
            self._placebo.ious(q, raw.iou, raw.size, amount),
            Together(self._nway.iloc[self._nway_rows.get((q, p), _NONE)]),
        )

    def _stage(self, stage: str, key: tuple[float, ...]) -> StageMatrices:
        pairs, halves, seeds = self._pairs, self._halves, self._seeds
        return StageMatrices(
            n_rows=pairs.numbers(stage, key),
            iou=pairs.matrix("iou", stage, key),
            floor=pairs.matrix("floor_iou", stage, key),
            size=pairs.matrix("size_a", stage, key) + pairs.matrix("size_b", stage, key),
            half_iou=halves.matrix("iou", stage, key),
            half_floor=halves.matrix("floor_iou", stage, key),
            half_prompts=halves.sums("n_samples_a", stage, key) + halves.sums("n_samples_b", stage, key),
            seeds_iou=seeds.matrix("iou", stage, key),
            shared_prompts=seeds.sums("shared_prompts", stage, key),
        )
