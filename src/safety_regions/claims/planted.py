"""Safety sets whose truth is known: regions of made-up scores, with overlap tables as of a real method.

    score of set i from n prompts = sqrt(a_i) c + sqrt(1 - a_i) u_i + noise e / sqrt(n)
    score of the utility set      = sqrt(w) c + sqrt(1 - w) v

c is the model's: the same for all sets. u_i is the set's own, e is the prompts' draw; c, u, v and e are standard normal
for each element. a_i is uniform in common -+ spread: sets that are near to the rest, or far, are what makes pairs
depend on each other. Truth is the mean over ever more sets of one model.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32

from safety_regions.claims.estimates import Tables
from safety_regions.claims.jackknife import NAN, ratio
from safety_regions.overlap.chance import chances, expected_growth, expected_pair

GRID = (0.02, 0.05, 0.1, 0.2)
Q = 0.1


@dataclass(frozen=True)
class PlantedWorld:
    """What is planted; see the module. Shares of the scores' variance in [0, 1]."""

    common: float = 0.6
    spread: float = 0.2
    utility: float = 0.0
    """w: how much the utility region has of what is common."""
    noise: float = 2.0
    n_prompts: int = 32
    n_elements: int = 1000
    odd: float = 0.0
    """The chance with which a set has nothing of what is common."""
    clusters: int = 1
    """Groups of which each set is in one by chance: those of a group share half of what is common, all share the other
    half."""
    ranges: bool = False
    """Whether a region is the range of neighbouring elements with the largest sum of scores, as of layers."""
    model_seed: int = 0
    """Of c and v, which all sets share."""


CONDITIONS = (*(("raw", "", q, NAN) for q in GRID), ("refined", "union", Q, Q))
"""Stage, utility, q and p."""


MOST_WITH_CONTROLS = 20
"""Sets up to which the tables of controls are made: of N sets there are N^3 / 2 pairs with a third one."""


def draw(world: PlantedWorld, n_sets: int, seed: int) -> Tables:
    """Overlap tables and halves of `n_sets` sets: raw at every fraction of `GRID`, refined with one utility region at
    `Q`; of up to `MOST_WITH_CONTROLS` sets the controls.
    """
    full, halves, utility = scores(world, n_sets, seed)
    inside = highest_range if world.ranges else top
    removed = inside(utility, Q)
    names = np.array([f"set{i}" for i in range(n_sets)])
    pairs, replicates, nway = [], [], []
    for stage, _, q, _ in CONDITIONS:
        hidden = removed if stage == "refined" else np.zeros_like(removed)
        masks, half_masks = (inside(values, q) & ~hidden for values in (full, halves.reshape(2 * n_sets, -1)))
        pairs.append(compare(masks, hidden))
        replicates.append(compare(half_masks, hidden))
        nway.append(_grown(masks, hidden, names))
    half = np.repeat(["split0.0", "split0.1"], n_sets)
    controls = n_sets <= MOST_WITH_CONTROLS
    cut = {q: inside(full, q) for q in GRID}
    return Tables(
        pairs=_table(pairs, _ends("{}", names) | {"scope": "all", "unit": "all"}),
        nway=_table(nway, {}),
        replicates=_table(
            replicates,
            _ends("{}", np.tile(names, 2))
            | _ends("variant_{}", half)
            | {
                "kind": "halves",
                "shared_prompts": 0.0,
                "n_samples_a": world.n_prompts // 2,
                "n_samples_b": world.n_prompts // 2,
            },
        ),
        evaluated=pd.DataFrame(),
        sets=names.tolist(),
        q=Q,
        p=Q,
        levels=_levels(cut, names) if controls else pd.DataFrame(),
        placebo=_placebo(cut, names) if controls else pd.DataFrame(),
    )


def _levels(cut: Mapping[float, Bool[np.ndarray, "sets n"]], names: np.ndarray) -> pd.DataFrame:
    """As `safety_regions.overlap.controls.level_table`, of regions by fraction."""
    first, second = np.triu_indices(len(names), k=1)
    blocks = []
    for (q_a, at_a), (q_b, at_b) in itertools.product(cut.items(), repeat=2):
        shared = (at_a.astype(np.float32) @ at_b.T.astype(np.float32))[first, second].astype(float)
        sizes = {"size_a": at_a.sum(axis=1)[first], "size_b": at_b.sum(axis=1)[second]}
        known = {"q_a": q_a, "q_b": q_b, "a": names[first], "b": names[second]}
        union = sizes["size_a"] + sizes["size_b"] - shared
        blocks.append(pd.DataFrame(known | sizes | {"iou": ratio(shared, union)}))
    return pd.concat(blocks, ignore_index=True)


def _placebo(cut: Mapping[float, Bool[np.ndarray, "sets n"]], names: np.ndarray) -> pd.DataFrame:
    """As `safety_regions.overlap.controls.placebo_table` at `Q`, of regions by fraction."""
    first, second = np.triu_indices(len(names), k=1)
    blocks = []
    for number, (p, at_p) in itertools.product(range(len(names)), cut.items()):
        others = (first != number) & (second != number)
        found = compare(cut[Q] & ~at_p[number], at_p[number][None])
        known = {"q": Q, "p": p, "a": names[first], "b": names[second], "removed": names[number]}
        blocks.append(pd.DataFrame(known | found)[others])
    return pd.concat(blocks, ignore_index=True)


def _ends(column: str, names: np.ndarray) -> dict[str, np.ndarray]:
    """Columns for the first and the second of each pair."""
    first, second = np.triu_indices(len(names), k=1)
    return {
        column.format("a"): np.tile(names[first], len(CONDITIONS)),
        column.format("b"): np.tile(names[second], len(CONDITIONS)),
    }


def _table(blocks: list[dict[str, np.ndarray]], known: dict) -> pd.DataFrame:
    """One block of columns per condition, one below another."""
    lengths = [len(block["iou"]) for block in blocks]
    columns = zip(("stage", "utility", "q", "p"), zip(*CONDITIONS, strict=True), strict=True)
    conditions = {name: np.repeat(values, lengths) for name, values in columns}
    return pd.DataFrame(
        known | conditions | {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    )


def scores(
    world: PlantedWorld, n_sets: int, seed: int
) -> tuple[Float32[np.ndarray, "sets n"], Float32[np.ndarray, "2 sets n"], Float32[np.ndarray, "1 n"]]:
    """Of all prompts, of the two halves, and of the utility set."""
    model, random = np.random.default_rng([world.model_seed]), np.random.default_rng([world.model_seed, seed])
    common, other = model.standard_normal((2, world.n_elements), np.float32)
    share = random.uniform(world.common - world.spread, world.common + world.spread, (n_sets, 1)).astype(np.float32)
    utility = np.float32(np.sqrt(world.utility)) * common + np.float32(np.sqrt(1 - world.utility)) * other
    own = random.standard_normal((n_sets, world.n_elements), np.float32)
    errors = random.standard_normal((2, n_sets, world.n_elements), np.float32) * np.float32(
        world.noise / np.sqrt(world.n_prompts / 2)
    )
    share = np.where(random.random((n_sets, 1)) < world.odd, np.float32(0), share)
    if world.clusters > 1:
        groups = model.standard_normal((world.clusters, world.n_elements), np.float32)
        common = (common + groups[random.integers(0, world.clusters, n_sets)]) / np.float32(np.sqrt(2))
    true = np.sqrt(share) * common + np.sqrt(1 - share) * own
    return true + errors.mean(axis=0), true + errors, utility[None]


def top(values: Float32[np.ndarray, "sets n"], fraction: float) -> Bool[np.ndarray, "sets n"]:
    """The round(fraction * n) largest of each row."""
    k = round(fraction * values.shape[1])
    inside = np.zeros(values.shape, bool)
    np.put_along_axis(inside, np.argpartition(values, -k, axis=1)[:, -k:], True, axis=1)
    return inside


def highest_range(values: Float32[np.ndarray, "sets n"], fraction: float) -> Bool[np.ndarray, "sets n"]:
    """The max(1, round(fraction * n)) neighbours of each row with the largest sum; the first of equals."""
    k, n = max(1, round(fraction * values.shape[1])), values.shape[1]
    sums = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    first = (sums[:, k:] - sums[:, :-k]).argmax(axis=1)[:, None]
    return (first <= np.arange(n)) & (np.arange(n) < first + k)


def compare(masks: Bool[np.ndarray, "sets n"], hidden: Bool[np.ndarray, "1 n"]) -> dict[str, np.ndarray]:
    """Sizes, IoU and chance floor of every pair of rows: regions of one matrix, of weights that may be any."""
    a, b = np.triu_indices(len(masks), k=1)
    counted = masks.astype(np.float32)
    shared, sizes = (counted @ counted.T)[a, b].astype(float), masks.sum(axis=1)
    union, n_open = sizes[a] + sizes[b] - shared, np.array([hidden.size - hidden.sum()])
    by_chance = chances("weight", "free", held=sizes[None], raw=sizes[None], n_open=n_open)
    both, either = (of.squeeze(0) for of in expected_pair(n_open, by_chance[:, a], by_chance[:, b]))
    iou, floor = ratio(shared, union), ratio(both, either)
    return {"size_a": sizes[a], "size_b": sizes[b], "iou": iou, "floor_iou": floor}


def _grown(
    masks: Bool[np.ndarray, "sets n"], hidden: Bool[np.ndarray, "1 n"], names: np.ndarray
) -> dict[str, np.ndarray]:
    """IoU of the first n sets, in as many orders as there are sets: each ends one."""
    n_sets, blocks = len(masks), []
    sizes, n_open = masks.sum(axis=1), np.array([hidden.size - hidden.sum()])
    by_chance = chances("weight", "free", held=sizes[None], raw=sizes[None], n_open=n_open)
    for number in range(n_sets):
        order = np.roll(np.arange(n_sets), number)
        every = np.logical_and.accumulate(masks[order]).sum(axis=1)
        either = np.logical_or.accumulate(masks[order]).sum(axis=1)
        all_by_chance, any_by_chance = expected_growth(n_open, by_chance[:, order])
        grown = {
            "order": np.full(n_sets, number),
            "n": np.arange(1, n_sets + 1),
            "added": names[order],
            "intersection": every,
            "union": either,
            "iou": ratio(every, either),
            "floor_iou": ratio(all_by_chance, any_by_chance),
            "floor_intersection": all_by_chance,
        }
        blocks.append({name: values[1:] for name, values in grown.items()})
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
