"""Bit planes from levels and back to masks, and what is counted on packed words: sizes, pairs, growing intersections.

All in one file: of compiled code that is kept, numba notices a change in the file of the function itself, not of those
it calls.
"""

from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from safety_regions.kernels import compiled

BLOCK = 128
"""Words of every set looked at in one step: with all their masks they stay in the cache next to the processor."""
LANES = 4
"""Words in a vector: with more, eight counts and six words overflow the registers of processors without AVX-512."""
WORD = ir.IntType(64)
VECTOR = ir.VectorType(WORD, LANES)
NONE, ONES, LOWEST = np.uint64(0), np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0x0101010101010101)
GATHER = np.uint64(0x0102040810204080)


@intrinsic
@no_type_check
def popcount(context, word):
    """Bits set in a 64-bit word, by the processor's own instruction or its vector equivalent."""

    def build(context, builder, signature, arguments):
        return builder.call(builder.module.declare_intrinsic("llvm.ctpop", [WORD]), arguments)

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


# Loops below count words without a sign and cut no rows out of arrays: otherwise the compiler has to expect indices
# from the end, or rows whose words are not neighbours, and keeps count of who holds each row; all of that costs more
# than the work.


@compiled
@no_type_check
def fill_mask(planes, s, start, n, level, masks, row):
    """masks[row, :n] = (levels >= level) for level >= 1, from the words from `start` on of set s of planes (sets,
    planes, words).

    The lowest of the at most four planes comes first. An element is inside unless at the highest bit in which its level
    and `level` differ its own is 0: so bits are gone through upwards, each overruling those below it.
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
    """sizes[k] += elements of one set, planes (1, planes, words), whose level is k or above, for k = 1 .. len(sizes) -
    1.
    """
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


@no_type_check
def tile(rows: int, columns: int):
    """A function (words, i, j, start, n, pairs, k): pairs[k, i + r, j + c] += |A_(i+r) and A_(j+c)| for r < rows, c <
    columns.

    Two sets are held against four at once: then six words are loaded for eight counts. The compiler does not find that
    way by itself, so the step is given to it as vectors of words, which it turns into the instructions of whatever
    processor it is for. words (sets, words) and pairs (any, sets, sets) are C-contiguous; counted are n words, a
    multiple of LANES, from `start` on.
    """

    @intrinsic
    def add_tile(context, words, i, j, start, n, pairs, k):
        def build(context, builder, signature, arguments):
            words, i, j, start, n, pairs, k = arguments

            def place(value, kind, *indices):
                array = context.make_array(kind)(context, builder, value)
                return cgutils.get_item_pointer(context, builder, kind, array, indices)

            def vectors(row):
                pointer = place(words, signature.args[0], row, start)
                return builder.bitcast(pointer, VECTOR.as_pointer())

            rows_of_tile = [builder.add(i, i.type(r)) for r in range(rows)]
            columns_of_tile = [builder.add(j, j.type(c)) for c in range(columns)]
            one, other = [vectors(row) for row in rows_of_tile], [vectors(column) for column in columns_of_tile]
            popcounts = _declared(builder, VECTOR, "llvm.ctpop")
            # Variables on the stack by name only: the compiler keeps them in registers.
            counts = {(r, c): cgutils.alloca_once(builder, VECTOR) for r in range(rows) for c in range(columns)}
            for count in counts.values():
                builder.store(VECTOR(None), count)
            with cgutils.for_range(builder, builder.udiv(n, n.type(LANES))) as loop:
                ours = [_loaded(builder, pointer, loop.index) for pointer in one]
                theirs = [_loaded(builder, pointer, loop.index) for pointer in other]
                for (r, c), count in counts.items():
                    shared = builder.call(popcounts, [builder.and_(ours[r], theirs[c])])
                    builder.store(builder.add(builder.load(count), shared), count)
            total = _declared(builder, WORD, "llvm.vector.reduce.add")
            for (r, c), count in counts.items():
                pointer = place(pairs, signature.args[5], k, rows_of_tile[r], columns_of_tile[c])
                added = builder.call(total, [builder.load(count)])
                builder.store(builder.add(builder.load(pointer), added), pointer)
            return context.get_dummy_value()

        return types.void(words, *[types.intp] * 4, pairs, types.intp), build

    return add_tile


@no_type_check
def _declared(builder, result, name):
    """A function of one vector of words that every processor has in some form."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, [VECTOR]), f"{name}.v{LANES}i64")


@no_type_check
def _loaded(builder, pointer, index):
    vector = builder.load(builder.gep(pointer, [index]))
    # Words may begin anywhere, not just where a vector would.
    vector.align = 8
    return vector


add_2x4, add_2x2, add_2x1, add_1x1 = tile(2, 4), tile(2, 2), tile(2, 1), tile(1, 1)


@compiled
@no_type_check
def add_pairs(words, start, n, pairs, k):
    """pairs[k, i, j] += |A_i and A_j| over n words of every set from `start` on, for i <= j; 0 for i > j.

    words (sets, words) uint64 and pairs (any, sets, sets) int64 are C-contiguous.
    """
    sets, whole = words.shape[0], n // LANES * LANES
    for i in range(0, sets - 1, 2):
        j = i
        while j + 4 <= sets:
            add_2x4(words, i, j, start, whole, pairs, k)
            j += 4
        if j + 2 <= sets:
            add_2x2(words, i, j, start, whole, pairs, k)
            j += 2
        if j < sets:
            add_2x1(words, i, j, start, whole, pairs, k)
        pairs[k, i + 1, i] = 0
    if sets % 2:
        add_1x1(words, sets - 1, sets - 1, start, whole, pairs, k)
    for w in range(start + whole, start + n):
        for i in range(sets):
            for j in range(i, sets):
                pairs[k, i, j] += np.int64(popcount(words[i, w] & words[j, w]))


@compiled
@no_type_check
def add_nway(words, start, n, steps, inside, anywhere, grown, k):
    """grown[k, t] += (|intersection|, |union|) of the sets of subset t, over n words of every set from `start` on.

    Subset 0 is empty, subset t > 0 is subset steps[t, 0] and the set steps[t, 1]. What they hold is left in inside and
    anywhere (subsets, at least n), whose first rows are all ones and zeros.
    """
    at = np.uint64(start)
    for t in range(1, steps.shape[0]):
        row, before, own, c, d = np.uint64(t), np.uint64(steps[t, 0]), np.uint64(steps[t, 1]), NONE, NONE
        # One loop each, as together they would not become vector instructions.
        for w in range(np.uint64(n)):
            inside[row, w] = inside[before, w] & words[own, at + w]
            c += popcount(inside[row, w])
        for w in range(np.uint64(n)):
            anywhere[row, w] = anywhere[before, w] | words[own, at + w]
            d += popcount(anywhere[row, w])
        grown[k, t, 0] += np.int64(c)
        grown[k, t, 1] += np.int64(d)


@compiled
@no_type_check
def add_agreement(words, start, n, at, agreed, k):
    """agreed[k, m] += elements in more than m of the sets, over n words of every set from `start` on.

    at (sets, at least n) is left with these elements.
    """
    first = np.uint64(start)
    for s in range(words.shape[0]):
        own = np.uint64(s)
        for w in range(np.uint64(n)):
            at[own, w] = words[own, first + w]
        # What more than m sets held already is carried on to m + 1.
        for m in range(own):
            for w in range(np.uint64(n)):
                held, carried = at[m, w], at[own, w]
                at[m, w], at[own, w] = held | carried, held & carried
    for m in range(words.shape[0]):
        agreed[k, m] += count_bits(at, m, n)


@compiled
@no_type_check
def fill_removed(planes, n_safety, start, n, utility, level, gone, row, mask):
    """gone[row, :n] = elements that any utility set with a 1 in `utility` holds at `level`, as in `fill_mask`."""
    for w in range(np.uint64(n)):
        gone[row, w] = NONE
    for s in range(n_safety, planes.shape[0]):
        if utility[s - n_safety]:
            fill_mask(planes, s, start, n, level, mask, 0)
            for w in range(np.uint64(n)):
                gone[row, w] |= mask[0, w]


@compiled
@no_type_check
def count_conditions(planes, n_safety, levels, utility, removed_levels, steps, whole, pairs, removed, grown, agreed):
    """All counts of one matrix in one pass over the planes (sets, planes, words), of which the first n_safety are
    safety sets.

    Condition 0 is raw, condition c > 0 is without the elements that any set with a 1 in utility[c - 1] (removals, sets)
    holds at removed_levels[c - 1]. For each of `levels` and each condition pairs (levels, conditions, sets, sets) are
    filled, and for the conditions numbered in `whole`, grown (levels, len(whole), subsets, 2) of the subsets that
    `steps` builds, and agreed (levels, len(whole), sets) as in `add_agreement`; for each removal its size, removed
    (removals,).
    """
    n_removals = len(removed_levels)
    masks, left = np.empty((n_safety, BLOCK), np.uint64), np.empty((n_safety, BLOCK), np.uint64)
    gone, mask = np.empty((n_removals, BLOCK), np.uint64), np.empty((1, BLOCK), np.uint64)
    # With one fraction the only plane is the mask.
    single = planes.shape[1] == 1
    only = planes[:n_safety].reshape(n_safety, -1) if single else masks
    # One axis for levels and conditions, as rows cut out in the loop would cost a share of it.
    each_pairs = pairs.reshape(-1, n_safety, n_safety)
    each_grown, each_agreed = grown.reshape(-1, steps.shape[0], 2), agreed.reshape(-1, n_safety)
    agreeing = np.empty((n_safety, BLOCK), np.uint64)
    inside, anywhere = np.empty((steps.shape[0], BLOCK), np.uint64), np.empty((steps.shape[0], BLOCK), np.uint64)
    inside[:1], anywhere[:1] = ONES, NONE
    for start in range(0, planes.shape[2], BLOCK):
        n = min(BLOCK, planes.shape[2] - start)
        for r in range(n_removals):
            fill_removed(planes, n_safety, start, n, utility[r], removed_levels[r], gone, r, mask)
            removed[r] += count_bits(gone, r, n)
        for q in range(len(levels)):
            if not single:
                for s in range(n_safety):
                    fill_mask(planes, s, start, n, levels[q], masks, s)
            at, k = start if single else 0, q * (n_removals + 1)
            add_pairs(only, at, n, each_pairs, k)
            for r in range(n_removals):
                for s in range(n_safety):
                    for w in range(np.uint64(n)):
                        left[s, w] = only[s, np.uint64(at) + w] & ~gone[r, w]
                add_pairs(left, 0, n, each_pairs, k + r + 1)
                for m in range(len(whole)):
                    if whole[m] == r + 1:
                        add_nway(left, 0, n, steps, inside, anywhere, each_grown, q * len(whole) + m)
                        add_agreement(left, 0, n, agreeing, each_agreed, q * len(whole) + m)
            for m in range(len(whole)):
                if whole[m] == 0:
                    add_nway(only, at, n, steps, inside, anywhere, each_grown, q * len(whole) + m)
                    add_agreement(only, at, n, agreeing, each_agreed, q * len(whole) + m)
