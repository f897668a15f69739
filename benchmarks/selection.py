"""Selection of all fractions of the default grid, over one read of the scores from memory; and its peak memory.

From one matrix, and from the rows of another, each by itself.
"""

import argparse
import json
import tracemalloc

import numpy as np
from measuring import alternate, ratio, reader

from safety_regions.errors import run_main
from safety_regions.regions.top_fractions import top_levels

GRID = (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2)
ROW = 4096
"""Scores of a row."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=32_000_000, help="scores of the matrix (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    scores = random_scores(args.size)
    read, words = reader(), scores.reshape(-1).view(np.uint64)
    rows = scores.reshape(-1)[: args.size // ROW * ROW].reshape(-1, ROW)
    functions = {
        "read": lambda: read(words),
        "select": lambda: top_levels(scores, GRID),
        "select_rows": lambda: top_levels(rows, GRID),
    }
    times = alternate(functions, args.repeats)
    extra = peak_beside(scores)
    results = {
        "selection_over_read": ratio(times, "select", "read"),
        "row_selection_over_read": ratio(times, "select_rows", "read"),
        "selection_ns_per_score": round(1e9 * min(times["select"]) / args.size, 3),
        "selection_extra_over_scores": round(extra / scores.nbytes, 3),
    }
    print(json.dumps(results, indent=1))


def random_scores(size: int, seed: int = 0) -> np.ndarray:
    """Products of a weight and a gradient, both random, as one matrix of an even number of scores."""
    generator = np.random.default_rng(seed)
    return np.abs(generator.standard_normal((1, size // 2 * 2), np.float32)) * generator.random(
        (1, size // 2 * 2), np.float32
    )


def peak_beside(scores: np.ndarray) -> int:
    """Bytes held at most while the levels are made, beside the scores and the levels."""
    tracemalloc.start()
    levels = top_levels(scores, GRID)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - levels.nbytes


if __name__ == "__main__":
    run_main(main)
