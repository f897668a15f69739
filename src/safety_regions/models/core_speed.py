"""How fast a core of this machine multiplies matrices, for estimates of runs on its CPU."""

import time

import torch

TOKENS, WIDTH, TIMES = 256, 1024, 5


def core_speed(dtype: torch.dtype) -> float:
    """Floating-point operations that one core does in a second of its own, which other processes do not slow down: the
    best of some products of matrices, as a layer multiplies them.

    Takes some hundredths of a second, or some tenths where products in bfloat16 are slow.
    """
    left, right = (torch.ones(rows, WIDTH, dtype=dtype) for rows in (TOKENS, WIDTH))
    n_threads, seconds = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for _ in range(TIMES):
            begun = time.process_time()
            left @ right.T
            seconds.append(time.process_time() - begun)
    finally:
        torch.set_num_threads(n_threads)
    return 2 * TOKENS * WIDTH * WIDTH / max(min(seconds), 1e-9)
