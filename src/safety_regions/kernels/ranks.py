"""Thresholds and levels of float32 scores by their bits, without sorting them.

A score's key is its bits, turned so that keys as unsigned integers are ordered as the scores are. The upper half of the
key is its bin. A histogram of bins says in which bin the k-th largest score lies; only scores of such bins, marked in
their level, are looked at again, by the digits of their lower half. NaN must not be among the scores. No rank is beyond
the last positive score, so every threshold is positive: 0.0, -0.0 and negative scores are below all of them.
"""

from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from safety_regions.kernels import compiled

MARK = 128
"""Bit of a level that is not settled yet: the score lies in a threshold's bin, the first of which the lower bits
number."""
TILE = 4096
"""Scores looked at in one step: they stay in the cache next to the processor."""
SIGN, ONES = np.uint32(0x80000000), np.uint32(0xFFFFFFFF)
ZERO = SIGN
"""The key of 0.0; those of positive scores, and of no others, are above it."""
BYTE, HALF = np.uint32(8), np.uint32(16)
MARKS = np.uint64(0x8080808080808080)
FIRST, PLACE = np.uint32(28), np.uint32(0x0FFFFFFF)
"""Where in a word the number of the first threshold of a score's bin lies, and the bits in which the place does."""


@intrinsic
@no_type_check
def lowest_bit(context, word):
    """The place of the lowest bit set in a 64-bit word that is not 0."""

    def build(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), build


@compiled
@no_type_check
def key_of(bits):
    """The key of the score with these bits."""
    return bits ^ (ONES if bits & SIGN else SIGN)


@compiled
@no_type_check
def histogram(bits, counts):
    """Add to counts (2, 65536) how many scores have each upper half of the bits; rows are even and odd places.

    Two rows, as neighbours often share a bin, and adding twice to one counter has to wait.
    """
    even, odd = counts[0], counts[1]
    pairs = bits[: bits.size // 2 * 2].reshape(-1, 2)
    for i in range(pairs.shape[0]):
        even[pairs[i, 0] >> HALF] += np.uint32(1)
        odd[pairs[i, 1] >> HALF] += np.uint32(1)
    if bits.size % 2:
        even[bits[bits.size - 1] >> HALF] += np.uint32(1)


@compiled
@no_type_check
def find_bins(counts, wanted, bins, left):
    """For each of the ascending ranks `wanted`: the bin of that rank's score, and its rank among the scores of the bin.

    `counts` (65536,) are by the upper half of the bits. The ranks are of positive scores.
    """
    above, i = 0, 0
    for upper in range(0x7FFF, -1, -1):
        here = above + np.int64(counts[upper])
        while i < wanted.size and wanted[i] <= here:
            bins[i] = upper | 0x8000
            left[i] = wanted[i] - above
            i += 1
        if i == wanted.size:
            return
        above = here


@compiled
@no_type_check
def fill_table(bins, table, ends):
    """By the upper half of the bits: how many of the descending bins are below it; for one of these, the mark and its
    first number.

    ends[i] is the number behind the last of the bins that are the same as bin i. Below 0 there is no bin.
    """
    table[0x8000:] = 0
    i = 0
    for upper in range(0x7FFF, -1, -1):
        if i < bins.size and bins[i] == upper | 0x8000:
            first = i
            while i < bins.size and bins[i] == upper | 0x8000:
                i += 1
            table[upper] = MARK | first
            ends[first:i] = i
        else:
            table[upper] = bins.size - i


@compiled
@no_type_check
def collect(bits, levels, start, keys, places, n):
    """The keys and places of marked scores among those from `start` on, as keys[n:] and places[n:] as far as there is
    room.

    A place is its index with the number of its bin's first threshold above. Returns what n becomes with all that are
    marked.
    """
    eights = levels[start : start + (bits.size + 7) // 8 * 8].view(np.uint64)
    for e in range(eights.size):
        marks = eights[e] & MARKS
        while marks:
            i = 8 * e + np.int64(lowest_bit(marks) >> np.uint64(3))
            marks &= marks - np.uint64(1)
            if n < keys.size:
                keys[n] = key_of(bits[i])
                places[n] = np.uint32(start + i) | np.uint32(levels[start + i] ^ MARK) << FIRST
            n += 1
    return n


@compiled
@no_type_check
def narrow(keys, places, ends, prefixes, shift, digits):
    """Count the next digit of the keys that begin with the prefix of a threshold of their bin, in digits (prefixes,
    256).

    A prefix is what is known of a threshold's key, the part above the digit, which lies `shift` bits above the end.
    """
    for i in range(keys.size):
        key, first = keys[i], places[i] >> FIRST
        for k in range(first, ends[first]):
            if key >> (shift + BYTE) == prefixes[k]:
                digits[k, (key >> shift) & np.uint32(255)] += 1


@compiled
@no_type_check
def classify(bits, table, levels, keys, places):
    """The level of each score by the table (65536,) of the upper halves of the bits, and what `collect` gives for those
    marked.

    The levels are zero behind the last score, to a multiple of 8.
    """
    n = 0
    for start in range(0, bits.size, TILE):
        tile, own = bits[start : start + TILE], levels[start : start + TILE]
        # Read as 16-bit halves: shifted words would be gathered from the table by vector instructions, several times
        # slower.
        halves = tile.view(np.uint16).reshape(-1, 2)
        for i in range(tile.size):
            own[i] = table[halves[i, 1]]
        n = collect(tile, levels, start, keys, places, n)
    return n


@compiled
@no_type_check
def find_digits(digits, prefixes, left):
    """Lengthen each prefix by the digit in which its rank `left` lies, and make `left` the rank among those scores."""
    for k in range(prefixes.size):
        digit = 255
        while digits[k, digit] < left[k]:
            left[k] -= digits[k, digit]
            digit -= 1
        prefixes[k] = (prefixes[k] << BYTE) | np.uint32(digit)


@compiled
@no_type_check
def settle(levels, keys, places, ends, thresholds, left):
    """The level of each marked score: how many thresholds its key is above, or equal to while any are `left`."""
    for i in range(keys.size):
        key, first = keys[i], places[i] >> FIRST
        end = ends[first]
        level = thresholds.size - end
        for k in range(first, end):
            level += key > thresholds[k]
            # Seldom, so that the processor goes on without waiting for the answer.
            if key == thresholds[k] and left[k] > 0:
                left[k] -= 1
                level += 1
        levels[places[i] & PLACE] = level


@compiled
@no_type_check
def levels_of_rows(bits, wanted, levels):
    """Levels within each row of scores, fewer than 65536, given as their bits. `wanted` are ascending ranks; one beyond
    the positive scores of a row is that of the last of them there, and a row without any keeps its levels, 0.

    As for one large matrix, row by row. Of histogram and table, each larger than a row, only the bins from the highest
    score's down to the last threshold's are looked at, and what was counted is taken back.
    """
    size, n_wanted = bits.shape[1], wanted.size
    held = np.empty(n_wanted, np.int64)
    counts, table = np.zeros(65536, np.int32), np.empty(65536, np.uint8)
    keys, marked, places = np.empty(size, np.uint32), np.empty(size + 1, np.uint32), np.empty(size + 1, np.uint32)
    found = np.empty(size, np.uint32)
    bins, ends, left = np.empty(n_wanted, np.uint32), np.empty(n_wanted, np.int64), np.empty(n_wanted, np.int64)
    for row in range(bits.shape[0]):
        highest, n_positive = np.uint32(0), 0
        for i in range(size):
            keys[i] = key_of(bits[row, i])
            highest = max(highest, keys[i])
            n_positive += keys[i] > ZERO
        if n_positive == 0:
            continue
        for k in range(n_wanted):
            held[k] = min(wanted[k], n_positive)
        for i in range(size):
            counts[keys[i] >> HALF] += 1
        find_row_bins(counts, highest >> HALF, held, bins, ends, left, table)
        # One entry stands for all bins below; no score is in the lowest, which is that of NaN.
        below, n_marked = bins[n_wanted - 1] - np.uint32(1), 0
        table[below] = 0
        for i in range(size):
            upper = keys[i] >> HALF
            counts[upper] = 0
            level = table[max(upper, below)]
            levels[row, i] = level
            # Written for every score, and written over unless it is marked: a guess would cost more.
            marked[n_marked], places[n_marked] = keys[i], np.uint32(i) | np.uint32(level ^ MARK) << FIRST
            n_marked += level >= MARK
        find_thresholds(marked[:n_marked], places, ends, bins, left, found)
        settle(levels[row], marked[:n_marked], places, ends, bins, left)


@compiled
@no_type_check
def find_row_bins(counts, highest, wanted, bins, ends, left, table):
    """The bins, from the highest down, of the ranks `wanted`, the ranks `left` in them, and `ends` and table as in
    `fill_table`.
    """
    above, k = np.int64(0), 0
    for upper in range(np.int64(highest), -1, -1):
        first, here = k, above + counts[upper]
        while k < wanted.size and wanted[k] <= here:
            bins[k], left[k] = upper, wanted[k] - above
            k += 1
        table[upper] = MARK | first if k > first else wanted.size - k
        ends[first:k] = k
        above = here
        if k == wanted.size:
            return


@compiled
@no_type_check
def find_thresholds(keys, places, ends, thresholds, left, found):
    """The key of the rank `left` in each threshold's bin, from the keys of all marked scores; `left` becomes the rank
    among equal ones.

    `found` is room for as many keys.
    """
    first = 0
    while first < ends.size:
        n = 0
        for i in range(keys.size):
            if places[i] >> FIRST == first:
                found[n] = keys[i]
                n += 1
        found[:n].sort()
        for k in range(first, ends[first]):
            thresholds[k] = found[n - left[k]]
            for i in range(n - left[k] + 1, n):
                left[k] -= found[i] > thresholds[k]
        first = ends[first]
