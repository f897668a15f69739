"""All 45 pairs of ten regions at one threshold, over one read of the packed words, and over what else a user has.

Bools of numpy and torch, and Python sets, are measured on a part of the elements, as slow as they are, and scaled:
their cost is linear too. Three sizes give the slope.
"""

import argparse
import json

import numpy as np
import torch
from measuring import alternate, ratio, reader

from safety_regions.errors import run_main
from safety_regions.kernels import bits

SETS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256_000_000, help="elements of each region (default %(default)s)")
    parser.add_argument("--large", action="store_true", help="1e9 elements as well, 1.25 GB")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    read = reader()
    seconds = {}
    for size in (args.size // 16, args.size // 4, args.size, *([10**9] if args.large else [])):
        words = random_words(size)
        functions = {"read": lambda w=words: read(w.reshape(-1)), "pairs": lambda w=words: pairs(w)}
        times = alternate(functions, args.repeats)
        seconds[size] = min(times["pairs"])
        if size == args.size:
            over_read = ratio(times, "pairs", "read")
    slope = float(np.polyfit(list(seconds), list(seconds.values()), 1)[0])
    print(
        json.dumps(
            {
                "overlap_over_read": over_read,
                **over_pairs(),
                "overlap_seconds": {str(size): round(s, 4) for size, s in seconds.items()},
                "overlap_seconds_8e9_from_slope": round(slope * 8e9, 2),
            },
            indent=1,
        )
    )


def random_words(size: int) -> np.ndarray:
    """Regions of ten sets, packed; about 1/16 of the elements are in each."""
    generator = np.random.default_rng(0)
    words = np.full((SETS, size // 64), np.iinfo(np.uint64).max, np.uint64)
    for _ in range(4):
        for row in words:
            row &= np.frombuffer(generator.bytes(8 * len(row)), np.uint64)
    return words


def pairs(words: np.ndarray) -> np.ndarray:
    """Elements in both regions, of every pair."""
    counts, none = np.zeros((1, 1, SETS, SETS), np.int64), np.zeros(0, np.int64)
    no_steps, no_nway = np.zeros((1, 2), np.int64), np.zeros((1, 0, 1, 2), np.int64)
    no_agreement = np.zeros((1, 0, SETS), np.int64)
    one_level = np.ones(1, np.int64)
    bits.count_conditions(
        words[:, None],
        SETS,
        one_level,
        np.zeros((0, 0), bool),
        *(none, no_steps, none),
        *(counts, none, no_nway, no_agreement),
    )
    return counts[0, 0]


def over_pairs(size: int = 2_000_000) -> dict[str, float]:
    """What takes how many times as long for the same counts."""
    words = random_words(size)
    bools = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little").astype(bool)
    tensors, sets = torch.from_numpy(bools), [set(np.flatnonzero(row).tolist()) for row in bools]
    twos = [(i, j) for i in range(SETS) for j in range(i)]
    # As they are computed for IoU: intersection and union.
    functions = {
        "overlap": lambda: pairs(words),
        "bools": lambda: [((bools[i] & bools[j]).sum(), (bools[i] | bools[j]).sum()) for i, j in twos],
        "torch_bools": lambda: [((tensors[i] & tensors[j]).sum(), (tensors[i] | tensors[j]).sum()) for i, j in twos],
        "sets": lambda: [len(sets[i] & sets[j]) for i, j in twos],
    }
    times = alternate(functions, 3)
    return {f"{name}_over_overlap": ratio(times, name, "overlap") for name in functions if name != "overlap"}


if __name__ == "__main__":
    run_main(main)
