"""How well the intervals of the claims cover a planted truth, and what a plain t-test over pairs would have claimed.

Safety sets are drawn again and again from one made-up model (`safety_regions.claims.planted`); the truth is the mean
over many more sets of it. Also: how often a claim holds, fails or stays undecided with its threshold far below the
truth, on it, and far above.
"""

import argparse
from collections import Counter
from dataclasses import fields

import numpy as np
from scipy import stats

from safety_regions.claims.estimates import Measured, measure
from safety_regions.claims.jackknife import Estimate, pair_means, set_means, square
from safety_regions.claims.planted import PlantedWorld, draw
from safety_regions.claims.rows import at
from safety_regions.claims.verdict import against

WORLDS = {
    "sets alike": PlantedWorld(spread=0.0, utility=0.5),
    "sets differ": PlantedWorld(spread=0.3, utility=0.5),
}
NAMES = ("iou", "above_floor", "ceiling", "place", "difference", "drop", "beyond_size")
DISTANCE = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--sets", type=int, nargs="+", default=[5, 10])
    parser.add_argument("--truth", type=int, default=8, help="draws of 80 sets each that stand for the truth")
    args = parser.parse_args()
    for name, world in WORLDS.items():
        large = [estimates(measure(draw(world, 80, 10**6 + seed), 0.95)) for seed in range(args.truth)]
        truth = {key: float(np.mean([of[key].value for of in large])) for key in NAMES}
        for n_sets in args.sets:
            print(f"{name}, {n_sets} sets, {args.simulations} simulations", flush=True)
            print(f"{'':>14} {'truth':>7} {'bias':>7} {'sd':>6} {'width':>6} {'covers':>7} {'t-test':>7}")
            simulate(world, n_sets, args.simulations, truth)


def simulate(world: PlantedWorld, n_sets: int, n: int, truth: dict[str, float]) -> None:
    """Print a line per estimate, and the verdicts about the IoU at three thresholds."""
    found: dict[str, list[Estimate]] = {key: [] for key in NAMES}
    naive: dict[str, list[tuple[float, float]]] = {key: [] for key in ("iou", "place", "difference")}
    for seed in range(n):
        tables = draw(world, n_sets, seed)
        for key, estimate in estimates(measure(tables, 0.95)).items():
            found[key].append(estimate)
        for key, values in pair_values(tables).items():
            naive[key].append(t_interval(values))
    for key, of in found.items():
        values = np.array([e.value for e in of])
        covered, width = coverage([(e.low, e.high) for e in of], truth[key]), np.median([e.high - e.low for e in of])
        plain = f"{coverage(naive[key], truth[key]):7.1%}" if key in naive else ""
        print(
            f"{key:>14} {truth[key]:7.3f} {values.mean() - truth[key]:+7.3f} {values.std():6.3f} {width:6.3f}"
            f" {covered:7.1%} {plain}"
        )
    for words, threshold in (("far below", -DISTANCE), ("on", 0.0), ("far above", DISTANCE)):
        verdicts = Counter(against(e, truth["place"] + threshold, above=False).decision for e in found["place"])
        print(
            f"  place below a threshold {words} the truth: "
            + ", ".join(f"{v} {c / n:.1%}" for v, c in verdicts.most_common())
        )


def estimates(measured: Measured) -> dict[str, Estimate]:
    """What is simulated, by name: of the raw stage, and what refinement changes."""
    of = {field.name: getattr(measured, field.name) for field in fields(measured)}
    raw = measured.stages["raw"]
    return {key: getattr(raw, key) if hasattr(raw, key) else of[key] for key in NAMES}


def pair_values(tables) -> dict[str, np.ndarray]:
    """What a t-test over pairs would start from."""
    raw, refined = (
        square(at(tables.pairs, stage, tables.q, tables.p), "iou", tables.sets) for stage in ("raw", "refined")
    )
    halves = at(tables.replicates, "raw", tables.q, tables.p)
    between, chance = square(halves, "iou", tables.sets), square(halves, "floor_iou", tables.sets)
    ceiling, floor = set_means(between)[0], pair_means(chance)[0]
    upper = np.triu_indices(len(raw), k=1)
    return {
        "iou": raw[upper],
        "place": (between[upper] - floor) / (ceiling - floor),
        "difference": (refined - raw)[upper],
    }


def t_interval(values: np.ndarray) -> tuple[float, float]:
    reach = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - reach, values.mean() + reach


def coverage(intervals: list[tuple[float, float]], truth: float) -> float:
    return float(np.mean([low <= truth <= high for low, high in intervals]))


if __name__ == "__main__":
    main()
