"""How well the intervals of the claims cover a planted truth, and what a plain t-test over pairs would have claimed.

Safety sets are drawn again and again from one made-up model (`safety_regions.claims.planted`); the truth is the mean
over many more sets of it. Also: how often a claim holds, fails or stays undecided with its threshold far below the
truth, on it, and far above.
"""

import argparse
from collections import Counter
from dataclasses import replace

import numpy as np
from scipy import stats

from safety_regions.claims.estimates import Measured, measure
from safety_regions.claims.jackknife import Estimate, mean, pair_means, set_means, square
from safety_regions.claims.planted import PlantedWorld, draw
from safety_regions.claims.rows import at
from safety_regions.claims.rules import TESTS, Evidence
from safety_regions.claims.verdict import against
from safety_regions.config.claims import Claims

WORLDS = {
    "sets alike": PlantedWorld(spread=0.0, utility=0.5),
    "sets differ": PlantedWorld(spread=0.3, utility=0.5),
    "one set in ten is odd": PlantedWorld(spread=0.0, utility=0.5, odd=0.1),
    "two clusters": PlantedWorld(common=0.9, spread=0.0, utility=0.5, noise=1.0, clusters=2),
    "five clusters": PlantedWorld(common=0.9, spread=0.0, utility=0.5, noise=1.0, clusters=5),
    "ranges of layers": PlantedWorld(common=0.9, spread=0.05, noise=0.5, n_elements=30, ranges=True),
    "all is noise": PlantedWorld(noise=60.0),
}
NAMES = (
    "iou",
    "above_floor",
    "ceiling",
    "place",
    "unlimited",
    "apart",
    "difference",
    "drop",
    "beyond_size",
    "beyond_placebo",
)
DISTANCE = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--sets", type=int, nargs="+", default=[5, 10])
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--truth", type=int, default=8, help="draws of 80 sets each that stand for the truth")
    args = parser.parse_args()
    for name in args.worlds:
        world = WORLDS[name]
        large = [estimates(measure(draw(world, 80, 10**6 + seed), 0.95)) for seed in range(args.truth)]
        truth = {key: mean(np.array([of[key].value for of in large])) for key in NAMES}
        without_noise = [measure(draw(replace(world, noise=0.0), 80, 10**6 + seed), 0.95) for seed in range(args.truth)]
        truth["unlimited"] = mean(np.array([of.stages["raw"].iou.value for of in without_noise]))
        for n_sets in args.sets:
            print(f"{name}, {n_sets} sets, {args.simulations} simulations", flush=True)
            print(f"{'':>14} {'truth':>7} {'bias':>7} {'sd':>6} {'width':>6} {'covers':>7} {'t-test':>7}")
            simulate(world, n_sets, args.simulations, truth)


def simulate(world: PlantedWorld, n_sets: int, n: int, truth: dict[str, float]) -> None:
    """Print a line per estimate, and verdicts at three thresholds."""
    found: dict[str, list[Estimate]] = {key: [] for key in NAMES}
    naive: dict[str, list[tuple[float, float]]] = {key: [] for key in ("iou", "place", "difference")}
    decided: dict[str, list[str]] = {"beyond_noise": [], "nothing_common": []}
    for seed in range(n):
        tables = draw(world, n_sets, seed)
        measured = measure(tables, 0.95)
        for key, estimate in estimates(measured).items():
            found[key].append(estimate)
        for claim, decisions in decided.items():
            decisions.append(TESTS[claim](Evidence(tables, measured, Claims())).decision)
        for key, values in pair_values(tables).items():
            naive[key].append(t_interval(values))
    for key, of in found.items():
        of = [e for e in of if np.isfinite(e.low)]
        if not of or np.isnan(truth[key]):
            print(f"{key:>14} undefined")
            continue
        values = np.array([e.value for e in of])
        covered, width = coverage([(e.low, e.high) for e in of], truth[key]), np.median([e.high - e.low for e in of])
        plain = f"{coverage(naive[key], truth[key]):7.1%}" if key in naive else ""
        print(
            f"{key:>14} {truth[key]:7.3f} {values.mean() - truth[key]:+7.3f} {values.std():6.3f} {width:6.3f}"
            f" {covered:7.1%} {plain}"
        )
    for claim in ("beyond_noise", "nothing_common"):
        print(f"  {claim}: " + ", ".join(f"{v} {c / n:.1%}" for v, c in Counter(decided[claim]).most_common()))
    for words, threshold in (("far below", -DISTANCE), ("on", 0.0), ("far above", DISTANCE)):
        verdicts = Counter(against(e, truth["place"] + threshold, above=False).decision for e in found["place"])
        print(
            f"  place below a threshold {words} the truth: "
            + ", ".join(f"{v} {c / n:.1%}" for v, c in verdicts.most_common())
        )


def estimates(measured: Measured) -> dict[str, Estimate]:
    """What is simulated, by name: of the raw stage, and what refinement changes."""
    raw = measured.stages["raw"]
    return {key: getattr(raw if hasattr(raw, key) else measured.refinement, key) for key in NAMES}


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
        "place": (between[upper] - floor) / (ceiling - floor) if ceiling > floor else np.full(len(upper[0]), np.nan),
        "difference": (refined - raw)[upper],
    }


def t_interval(values: np.ndarray) -> tuple[float, float]:
    reach = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - reach, values.mean() + reach


def coverage(intervals: list[tuple[float, float]], truth: float) -> float:
    return float(np.mean([low <= truth <= high for low, high in intervals]))


if __name__ == "__main__":
    main()
