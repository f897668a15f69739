"""Region files: size over the entropy of their levels, and how fast they are decoded, in elements and over reading
their bytes.

Entropy is that of the levels of a matrix taken as independent draws, in bits per element, times the elements. All pairs
of ten files at one fraction, from the bytes on disk to the counts, are measured over reading these bytes, too.
"""

import argparse
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from measuring import alternate, ratio
from selection import GRID, random_scores

from safety_regions.errors import run_main
from safety_regions.overlap.counts import count
from safety_regions.regions.format import Header, open_region, write_region
from safety_regions.regions.select import Cut
from safety_regions.regions.top_fractions import top_levels

MATRIX = 2000
"""Rows, and columns, of a matrix of random scores."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("regions", type=Path, nargs="*", help="region files (default: one of random scores)")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = args.regions or [made(Path(folder) / "region")]
        ten = {str(i): made(Path(folder) / str(i), (0.05,), i, 2) for i in range(10)}
        whole = alternate(
            {"read": lambda: [p.read_bytes() for p in ten.values()], "count": lambda: count(ten, {}, 0.05, [])},
            args.repeats,
        )
        headers = [header_of(path) for path in paths]
        over = [path.stat().st_size / entropy_bytes(header) for path, header in zip(paths, headers, strict=True)]
        times = alternate(
            {"read": lambda: [p.read_bytes() for p in paths], "decode": lambda: decode(paths)}, args.repeats
        )
        n = sum(rows * columns for header in headers for rows, columns in header.shapes.values())
    results = {
        "file_over_entropy": round(max(over), 3),
        "file_over_entropy_each": [round(x, 3) for x in over],
        "decode_over_read": ratio(times, "decode", "read"),
        "decode_g_elements_per_cpu_second": round(n / min(times["decode"]) / 1e9, 3),
        "overlap_from_files_over_read": ratio(whole, "count", "read"),
        "overlap_from_files_g_elements_per_cpu_second": round(10 * 2 * MATRIX**2 / min(whole["count"]) / 1e9, 3),
    }
    print(json.dumps(results, indent=1))


def made(path: Path, grid: tuple[float, ...] = GRID, seed: int = 0, matrices: int = 8) -> Path:
    """A region of random scores: matrices of 4 million."""
    scores = (random_scores(MATRIX**2, seed + i) for i in range(matrices))
    levels = ((f"{i}.q", top_levels(own, grid).reshape(MATRIX, MATRIX)) for i, own in enumerate(scores))
    write_region(path, levels, recipe_digest="0" * 64, cut=Cut(grid, "matrix"))
    return path


def header_of(path: Path) -> Header:
    with open_region(path) as region:
        return region.header


def entropy_bytes(header: Header) -> float:
    """Bytes for the levels of every matrix at their entropy."""
    total = 0.0
    for name, (rows, columns) in header.shapes.items():
        held = np.array([0, *header.counts[name], rows * columns])
        shares = np.diff(held)[np.diff(held) > 0] / (rows * columns)
        total += rows * columns * float(-(shares * np.log2(shares)).sum()) / 8
    return total


def decode(paths: list[Path], threads: int = 1) -> None:
    """The planes of every matrix, with their counts checked."""
    for path in paths:
        with open_region(path) as region, ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda name: region.planes(name).shape, region.names):
                pass


if __name__ == "__main__":
    run_main(main)
