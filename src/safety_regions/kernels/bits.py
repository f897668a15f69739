"""Bit planes from levels and back to masks, and what is counted on packed words: sizes, pairs, growing intersections."""

from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from safety_regions.kernels import compiled

BLOCK = 128
"""Words of every set looked at in one step: with all their masks they stay in the cache next to the processor."""
NONE, ONES, LOWEST = np.uint64(0), np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0x0101010101010101)
GATHER = np.uint64(0x0102040810204080)


@intrinsic
@no_type_check
def popcount(context, word):
    """Bits set in a 64-bit word, by the processor's own instruction or its vector equivalent."""

    def build(context, builder, signature, arguments):
        return builder.call(builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)]), arguments)

    return types.uint64(types.uint64), build


@compiled
@no_type_check
def pack_planes(levels, planes):
    """Write the bits of the levels, whose number is a multiple of 64, into planes (planes, words), the lowest first."""
    eights = levels.view(np.uint64)
    for plane in range(planes.shape[0]):
        shift, words = np.uint64(plane), planes[plane]
        for w in range(words.size):
            word = np.uint64(0)
            for e in range(8):
                # One bit of each of eight bytes; the product brings these together in its highest byte.
                bits = ((eights[8 * w + e] >> shift) & LOWEST) * GATHER
                word |= (bits >> np.uint64(56)) << np.uint64(8 * e)
            words[w] = word


@compiled
@no_type_check
def ruling(level, bit, n_planes):
    """(kept, added) such that a mask of the bits below becomes mask & (plane | kept) | plane & added with this bit."""
    kept = NONE if (level >> bit) & 1 else ONES
    return kept, (kept if bit < n_planes else NONE)


# Loops below count words without a sign and cut no rows out of arrays: otherwise the compiler has to expect indices from the
# end, or rows whose words are not neighbours, and keeps count of who holds each row; all of that costs more than the work.


@compiled
@no_type_check
def fill_mask(planes, s, start, n, level, masks, row):
    """masks[row, :n] = (levels >= level) for level >= 1, from the words from `start` on of set s of planes (sets, planes, words).

    The lowest of the at most four planes comes first. An element is inside unless at the highest bit in which its level and
    `level` differ its own is 0: so bits are gone through upwards, each overruling those below it.
    """
    n_planes, at = planes.shape[1], np.uint64(start)
    b1, b2, b3 = min(1, n_planes - 1), min(2, n_planes - 1), min(3, n_planes - 1)
    kept0, _ = ruling(level, 0, n_planes)
    kept1, added1 = ruling(level, 1, n_planes)
    kept2, added2 = ruling(level, 2, n_planes)
    kept3, added3 = ruling(level, 3, n_planes)
    for w in range(np.uint64(n)):
        p0, p1, p2, p3 = planes[s, 0, at + w], planes[s, b1, at + w], planes[s, b2, at + w], planes[s, b3, at + w]
        mask = p0 | kept0
        mask = (mask & (p1 | kept1)) | (p1 & added1)
        mask = (mask & (p2 | kept2)) | (p2 & added2)
        masks[row, w] = (mask & (p3 | kept3)) | (p3 & added3)


@compiled
@no_type_check
def count_levels(planes, sizes):
    """sizes[k] += elements of one set, planes (1, planes, words), whose level is k or above, for k = 1 .. len(sizes) - 1."""
    mask = np.empty((1, BLOCK), np.uint64)
    for start in range(0, planes.shape[2], BLOCK):
        n = min(BLOCK, planes.shape[2] - start)
        for level in range(1, sizes.size):
            fill_mask(planes, 0, start, n, level, mask, 0)
            sizes[level] += count_bits(mask, 0, n)


@compiled
@no_type_check
def count_bits(masks, row, n):
    """Bits set in the first n words of a row."""
    count = NONE
    for w in range(np.uint64(n)):
        count += popcount(masks[row, w])
    return np.int64(count)


@compiled
@no_type_check
def add_pairs(words, start, n, pairs):
    """pairs[i, j] += |A_i and A_j| over n words of every set from `start` on, for i <= j."""
    sets, at = words.shape[0], np.uint64(start)
    for i in range(sets):
        j = i
        while j + 4 <= sets:
            c0, c1, c2, c3 = NONE, NONE, NONE, NONE
            for w in range(np.uint64(n)):
                word = words[i, at + w]
                c0 += popcount(word & words[j, at + w])
                c1 += popcount(word & words[j + 1, at + w])
                c2 += popcount(word & words[j + 2, at + w])
                c3 += popcount(word & words[j + 3, at + w])
            pairs[i, j] += np.int64(c0)
            pairs[i, j + 1] += np.int64(c1)
            pairs[i, j + 2] += np.int64(c2)
            pairs[i, j + 3] += np.int64(c3)
            j += 4
        while j < sets:
            c = NONE
            for w in range(np.uint64(n)):
                c += popcount(words[i, at + w] & words[j, at + w])
            pairs[i, j] += np.int64(c)
            j += 1


@compiled
@no_type_check
def add_nway(words, start, n, orders, grown):
    """grown[o, m] += (|intersection|, |union|) of the first m+1 sets of each order, over n words of every set from `start` on."""
    inside, anywhere = np.empty(n, np.uint64), np.empty(n, np.uint64)
    at = np.uint64(start)
    for o in range(orders.shape[0]):
        inside[:] = ONES
        anywhere[:] = NONE
        for m in range(orders.shape[1]):
            own = orders[o, m]
            c, d = NONE, NONE
            for w in range(np.uint64(n)):
                inside[w] &= words[own, at + w]
                anywhere[w] |= words[own, at + w]
                c += popcount(inside[w])
                d += popcount(anywhere[w])
            grown[o, m, 0] += np.int64(c)
            grown[o, m, 1] += np.int64(d)


@compiled
@no_type_check
def fill_removed(planes, n_safety, start, n, utility, level, gone, row, mask):
    """gone[row, :n] = elements that any of the utility sets with a 1 in `utility` holds at `level`, as in `fill_mask`."""
    for w in range(np.uint64(n)):
        gone[row, w] = NONE
    for s in range(n_safety, planes.shape[0]):
        if utility[s - n_safety]:
            fill_mask(planes, s, start, n, level, mask, 0)
            for w in range(np.uint64(n)):
                gone[row, w] |= mask[0, w]


@compiled
@no_type_check
def count_conditions(planes, n_safety, levels, utility, removed_levels, orders, nway, pairs, removed, grown):
    """All counts of one matrix in one pass over the planes (sets, planes, words), of which the first n_safety are safety sets.

    Condition 0 is raw, condition c > 0 is without the elements that any set with a 1 in utility[c - 1] (removals, sets) holds
    at removed_levels[c - 1]. For each of `levels` and each condition pairs (levels, conditions, sets, sets) are filled, and for the
    conditions numbered in nway, grown (levels, len(nway), orders, sets, 2); for each removal its size, removed (removals,).
    """
    n_removals = len(removed_levels)
    masks, left = np.empty((n_safety, BLOCK), np.uint64), np.empty((n_safety, BLOCK), np.uint64)
    gone, mask = np.empty((n_removals, BLOCK), np.uint64), np.empty((1, BLOCK), np.uint64)
    # With one fraction the only plane is the mask.
    single = planes.shape[1] == 1
    only = planes[:n_safety].reshape(n_safety, -1) if single else masks
    for start in range(0, planes.shape[2], BLOCK):
        n = min(BLOCK, planes.shape[2] - start)
        for r in range(n_removals):
            fill_removed(planes, n_safety, start, n, utility[r], removed_levels[r], gone, r, mask)
            removed[r] += count_bits(gone, r, n)
        for q in range(len(levels)):
            if not single:
                for s in range(n_safety):
                    fill_mask(planes, s, start, n, levels[q], masks, s)
            at = start if single else 0
            count_one(only, at, n, orders, nway, 0, pairs[q], grown[q])
            for r in range(n_removals):
                for s in range(n_safety):
                    for w in range(np.uint64(n)):
                        left[s, w] = only[s, np.uint64(at) + w] & ~gone[r, w]
                count_one(left, 0, n, orders, nway, r + 1, pairs[q], grown[q])


@compiled
@no_type_check
def count_one(words, start, n, orders, nway, condition, pairs, grown):
    """Pairs, and n-way overlaps where asked for, of n words of every set from `start` on, under one condition."""
    add_pairs(words, start, n, pairs[condition])
    for m in range(len(nway)):
        if nway[m] == condition:
            add_nway(words, start, n, orders, grown[m])
