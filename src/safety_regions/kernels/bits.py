"""Bit planes from levels and back to masks, and what is counted on packed words: sizes, pairs, growing intersections."""

from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from safety_regions.kernels import compiled

BLOCK = 256
"""Words of every set looked at in one step: with all their masks they stay in the cache next to the processor."""
ONES, LOWEST = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0x0101010101010101)
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
def fill_mask(planes, level, mask):
    """mask = (levels >= level) for level >= 1, from planes (planes, words) with the lowest first.

    An element is inside unless at the highest bit in which its level and `level` differ its own is 0: so bits are gone
    through upwards, each overruling those below it.
    """
    mask[:] = ONES
    for bit in range(planes.shape[0]):
        plane = planes[bit]
        if (level >> bit) & 1:
            for w in range(mask.size):
                mask[w] &= plane[w]
        else:
            for w in range(mask.size):
                mask[w] |= plane[w]


@compiled
@no_type_check
def count_levels(planes, sizes):
    """sizes[k] += elements whose level is k or above, for k = 1 .. len(sizes) - 1."""
    buffer = np.empty(BLOCK, np.uint64)
    for start in range(0, planes.shape[1], BLOCK):
        block = planes[:, start : start + BLOCK]
        mask = buffer[: block.shape[1]]
        for level in range(1, sizes.size):
            fill_mask(block, level, mask)
            n = np.uint64(0)
            for w in range(mask.size):
                n += popcount(mask[w])
            sizes[level] += np.int64(n)


@compiled
@no_type_check
def add_pairs(words, n, pairs):
    """pairs[i, j] += |A_i and A_j| over the first n words of every set, for i <= j."""
    sets = words.shape[0]
    for i in range(sets):
        a = words[i]
        j = i
        while j + 4 <= sets:
            b0, b1, b2, b3 = words[j], words[j + 1], words[j + 2], words[j + 3]
            c0, c1, c2, c3 = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
            for w in range(n):
                word = a[w]
                c0 += popcount(word & b0[w])
                c1 += popcount(word & b1[w])
                c2 += popcount(word & b2[w])
                c3 += popcount(word & b3[w])
            pairs[i, j] += np.int64(c0)
            pairs[i, j + 1] += np.int64(c1)
            pairs[i, j + 2] += np.int64(c2)
            pairs[i, j + 3] += np.int64(c3)
            j += 4
        while j < sets:
            b = words[j]
            c = np.uint64(0)
            for w in range(n):
                c += popcount(a[w] & b[w])
            pairs[i, j] += np.int64(c)
            j += 1


@compiled
@no_type_check
def add_nway(words, n, orders, grown):
    """grown[o, m] += (|intersection|, |union|) of the first m+1 sets of each order, over the first n words of every set."""
    inside, anywhere = np.empty(n, np.uint64), np.empty(n, np.uint64)
    for o in range(orders.shape[0]):
        inside[:] = ONES
        anywhere[:] = 0
        for m in range(orders.shape[1]):
            own = words[orders[o, m]]
            c, d = np.uint64(0), np.uint64(0)
            for w in range(n):
                inside[w] &= own[w]
                anywhere[w] |= own[w]
                c += popcount(inside[w])
                d += popcount(anywhere[w])
            grown[o, m, 0] += np.int64(c)
            grown[o, m, 1] += np.int64(d)


@compiled
@no_type_check
def count_conditions(planes, n_safety, levels, utility, removed_levels, orders, nway, pairs, removed, grown):
    """All counts of one matrix in one pass over the planes (sets, planes, words), of which the first n_safety are safety sets.

    Condition 0 is raw, condition c > 0 is without the elements that any set with a 1 in utility[c - 1] (removals, sets) holds
    at removed_levels[c - 1]. For each of `levels` and each condition pairs (levels, conditions, sets, sets) are filled, and for the
    conditions numbered in nway, grown (levels, len(nway), orders, sets, 2); for each removal its size, removed (removals,).
    """
    n_words, n_removals = planes.shape[2], len(removed_levels)
    masks, left = np.empty((n_safety, BLOCK), np.uint64), np.empty((n_safety, BLOCK), np.uint64)
    gone, mask = np.zeros((n_removals + 1, BLOCK), np.uint64), np.empty(BLOCK, np.uint64)
    for start in range(0, n_words, BLOCK):
        stop = min(start + BLOCK, n_words)
        n = stop - start
        for r in range(n_removals):
            gone[r + 1, :n] = 0
            for s in range(n_safety, planes.shape[0]):
                if utility[r, s - n_safety]:
                    fill_mask(planes[s, :, start:stop], removed_levels[r], mask[:n])
                    for w in range(n):
                        gone[r + 1, w] |= mask[w]
            for w in range(n):
                removed[r] += np.int64(popcount(gone[r + 1, w]))
        for q in range(len(levels)):
            for s in range(n_safety):
                fill_mask(planes[s, :, start:stop], levels[q], masks[s, :n])
            for c in range(n_removals + 1):
                if c:
                    out = gone[c]
                    for s in range(n_safety):
                        own, rest = masks[s], left[s]
                        for w in range(n):
                            rest[w] = own[w] & ~out[w]
                looked_at = left if c else masks
                add_pairs(looked_at, n, pairs[q, c])
                for m in range(len(nway)):
                    if nway[m] == c:
                        add_nway(looked_at, n, orders, grown[q, m])
