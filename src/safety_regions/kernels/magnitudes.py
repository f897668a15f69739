"""Sums of absolute values in one pass over memory, which in torch takes two, and more where dtypes differ.

`total` (float32) and the values are contiguous vectors of one length; values of 16 bits come as uint16, since numpy has
no bfloat16 and numba no arithmetic of either. The bytes are those that torch gives.
"""

from typing import no_type_check

import numpy as np

from safety_regions.kernels import compiled

SIGNLESS, SPECIAL_HALF = np.uint16(0x7FFF), np.uint16(0x7C00)
BFLOAT16_SHIFT, FLOAT16_SHIFT, SPECIAL = np.uint32(16), np.uint32(13), np.uint32(0x7F800000)
REBIAS = np.float32(2.0**112)
"""Between the exponents of float16 and float32; by multiplication, which also normalises what float16 holds below its
smallest normal number."""


@compiled
@no_type_check
def add_magnitudes(total, values):
    """total += |values|, of float32."""
    for i in range(total.size):
        total[i] += abs(values[i])


@compiled
@no_type_check
def add_magnitudes_bfloat16(total, bits):
    """total += |values|, of bfloat16: the upper half of a float32."""
    # numba takes what two numbers of 32 bits give for one of 64.
    for i in range(total.size):
        total[i] += np.uint32(np.uint32(bits[i] & SIGNLESS) << BFLOAT16_SHIFT).view(np.float32)


@compiled
@no_type_check
def add_magnitudes_float16(total, bits):
    """total += |values|, of float16."""
    for i in range(total.size):
        magnitude = bits[i] & SIGNLESS
        wide = np.uint32(np.uint32(magnitude) << FLOAT16_SHIFT)
        if magnitude >= SPECIAL_HALF:
            total[i] += np.uint32(wide | SPECIAL).view(np.float32)
        else:
            total[i] += wide.view(np.float32) * REBIAS
