"""The exact top fractions of scores, of one matrix or of several together, found by their bits
(`safety_regions.kernels.ranks`).

Beside one matrix's scores and levels, memory is needed for histograms alone, of a size that does not grow with the
scores.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Int64, UInt8, UInt32

from safety_regions.errors import UserError
from safety_regions.kernels import n_threads, ranks

BINS = 65536
KEPT_BYTES = 2**28
"""Scores of this size together are kept rather than asked for again."""
PART = 2**20
"""Scores that are classified in one go."""
NAN = np.r_[0x7F80:0x8000, 0xFF80:BINS]
"""Upper halves of the bits of NaN, and of infinity."""
POSITIVE = slice(0, 0x8000)
"""Upper halves of the bits of positive scores; the first is that of 0.0 and of the smallest positive ones."""
Bits = UInt32[np.ndarray, " size"]


def top_levels(
    scores: Float32[np.ndarray, "units size"], grid: Sequence[float], name: str = "scores"
) -> UInt8[np.ndarray, "units size"]:
    """Levels within each unit (row) of a 2-d array of scores; `grid` ascends.

    A fraction f holds the min(round(f x size), positive scores) largest of a unit. Raises `UserError` for NaN.
    """
    units, size = scores.shape
    if size >= BINS:
        rows = [_levels_of_row(row[None, :], grid, name) for row in scores]
        return rows[0] if units == 1 else np.concatenate(rows)
    _refuse_nan(name, int(np.isnan(scores).sum()))
    bits = np.ascontiguousarray(scores).view(np.uint32)
    levels, wanted = np.zeros((units, size), np.uint8), _wanted(size, grid)
    if len(wanted):
        step = max(1, PART // size)
        _mapped(
            lambda at: ranks.levels_of_rows(bits[at : at + step], wanted, levels[at : at + step]), range(0, units, step)
        )
    return levels


def _levels_of_row(row: Float32[np.ndarray, "1 size"], grid: Sequence[float], name: str) -> UInt8[np.ndarray, "1 size"]:
    ((_, levels),) = levels_of_group([name], lambda _: row, grid)
    return levels


def levels_of_group(
    names: Sequence[str], score: Callable[[str], Float32[np.ndarray, "out in"]], grid: Sequence[float]
) -> Iterator[tuple[str, UInt8[np.ndarray, "out in"]]]:
    """Levels of each matrix within all of them together. Raises `UserError` naming a matrix whose scores are NaN."""
    scored = _Scored(score)
    counts, n_positive = np.zeros(BINS, np.int64), 0
    for name in names:
        own = scored.histogram(name)
        counts += own
        n_positive += scored.n_positive(name, own)
    size = int(counts.sum())
    wanted = np.minimum(_wanted(size, grid), n_positive) if n_positive else _wanted(0, grid)
    thresholds, left = np.zeros(len(wanted), np.uint32), np.zeros(len(wanted), np.int64)
    ranks.find_bins(counts, wanted, thresholds, left)
    ends = np.zeros(len(wanted), np.int64)
    ranks.fill_table(thresholds, scored.table, ends)
    for shift in (8, 0):
        digits = np.zeros((len(wanted), 256), np.int64)
        for name in names:
            for part in scored.parts(name):
                ranks.narrow(*part.marked(), ends, thresholds, np.uint32(shift), digits)
        ranks.find_digits(digits, thresholds, left)
    for name in names:
        for part in scored.parts(name):
            ranks.settle(part.levels, *part.marked(), ends, thresholds, left)
        yield name, scored.levels(name)


Marked = tuple[UInt32[np.ndarray, " marked"], UInt32[np.ndarray, " marked"]]
"""The keys of marked scores, and where these are."""


@dataclass
class _Part:
    """A stretch of a matrix's scores: bits, levels padded to a multiple of 8, and what is marked if it is little."""

    bits: Bits
    levels: UInt8[np.ndarray, " padded"]
    few: Marked | None
    n_marked: int

    def marked(self) -> Marked:
        """What is marked, in order."""
        if self.few is not None:
            return self.few
        keys, places = np.empty(self.n_marked, np.uint32), np.empty(self.n_marked, np.uint32)
        ranks.collect(self.bits, self.levels, 0, keys, places, 0)
        return keys, places


class _Scored:
    """The scores and levels of matrices: kept while they are small together, beyond that those of the last one asked
    for.
    """

    def __init__(self, score: Callable[[str], np.ndarray]):
        self.score = score
        self.table = np.zeros(BINS, np.uint8)
        self.kept: dict[str, np.ndarray] = {}
        self.classified: dict[str, tuple[np.ndarray, list[_Part]]] = {}

    def scores(self, name: str) -> Float32[np.ndarray, "out in"]:
        """The scores of a matrix, in one piece."""
        if name not in self.kept:
            self.kept[name] = np.ascontiguousarray(self.score(name))
            self._forget(name)
        return self.kept[name]

    def _forget(self, last: str) -> None:
        """Drop the scores before the last ones that are too many to be kept."""
        for name in [name for name in self.kept if name != last]:
            if sum(scores.nbytes for scores in self.kept.values()) > KEPT_BYTES:
                del self.kept[name]
                self.classified.pop(name, None)

    def histogram(self, name: str) -> Int64[np.ndarray, " bins"]:
        """How many scores have each upper half of their bits. Raises `UserError` for NaN."""
        counts = _histogram(_bits(self.scores(name)))
        if counts[NAN].any():
            _refuse_nan(name, int(np.isnan(self.scores(name)).sum()))
        return counts

    def n_positive(self, name: str, histogram: Int64[np.ndarray, " bins"]) -> int:
        """How many scores of a matrix are above 0, by its histogram and, where that leaves it open, by its scores."""
        n, bits = int(histogram[POSITIVE].sum()), _bits(self.scores(name))
        return n - (bits.size - int(np.count_nonzero(bits)) if histogram[0] else 0)

    def parts(self, name: str) -> list[_Part]:
        """The matrix's parts in order, classified by the table."""
        scores = self.scores(name)
        if name not in self.classified:
            bits = _bits(scores)
            levels = np.empty(-(-bits.size // 8) * 8, np.uint8)
            levels[bits.size :] = 0
            self.classified[name] = (
                levels,
                _mapped(lambda i: _classified(bits, levels, i, self.table), range(0, bits.size, PART)),
            )
        return self.classified[name][1]

    def levels(self, name: str) -> UInt8[np.ndarray, "out in"]:
        """The levels of a matrix whose parts are settled; the matrix is not kept any longer."""
        scores = self.scores(name)
        levels, _ = self.classified.pop(name)
        del self.kept[name]
        return levels[: scores.size].reshape(scores.shape)


def _classified(bits: Bits, levels: np.ndarray, start: int, table: UInt8[np.ndarray, " bins"]) -> _Part:
    bits, levels = bits[start : start + PART], levels[start : start + PART]
    keys, places = np.empty(PART // 32, np.uint32), np.empty(PART // 32, np.uint32)
    n = int(ranks.classify(bits, table, levels, keys, places))
    return _Part(bits, levels, (keys[:n].copy(), places[:n].copy()) if n <= len(keys) else None, n)


def _bits(scores: Float32[np.ndarray, "out in"]) -> Bits:
    return scores.reshape(-1).view(np.uint32)


def _wanted(size: int, grid: Sequence[float]) -> Int64[np.ndarray, " k"]:
    """How many elements are inside each fraction, those left out that hold none."""
    return np.array([k for fraction in grid if (k := round(fraction * size))], np.int64)


def _histogram(bits: Bits) -> Int64[np.ndarray, " bins"]:
    def count(cut: tuple[int, int]) -> np.ndarray:
        counts = np.zeros((2, BINS), np.uint32)
        ranks.histogram(bits[cut[0] : cut[1]], counts)
        return counts.sum(axis=0, dtype=np.int64)

    cuts = [bits.size * i // n_threads() for i in range(n_threads() + 1)]
    return sum(_mapped(count, list(pairwise(cuts))), np.zeros(BINS, np.int64))


def _mapped(function: Callable, items: Sequence) -> list:
    """What the function gives for each item, in as many threads as are allowed."""
    n = min(n_threads(), len(items))
    if n == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(function, items))


def _refuse_nan(name: str, n: int) -> None:
    if n:
        raise UserError(
            f"{n} scores are NaN",
            where=f"matrix {name}",
            hint="look for NaN or infinite weights, or use dtype float32 or bfloat16 for this model",
        )
