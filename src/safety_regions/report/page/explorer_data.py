"""What the selectors and sliders of the page choose from: IoU of every pair of sets, compact enough to travel in the
page.
"""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from safety_regions.report.numbers import digits4

MEASURES = ("iou", "floor_iou", "overlap_coefficient")
Block = list[list[float | None]]
"""One list per measure, with a value for each pair (i, j), i < j, of the sets in order, and last the mean of each
measure over the pairs in which it is defined; None: undefined."""
EMPTY: Block = [[] for _ in MEASURES] + [[None for _ in MEASURES]]


def selection(config: dict[str, Any], pairs: pd.DataFrame) -> dict[str, Any]:
    """The content of the page's JSON.

    `pairs` is iou.csv: raw rows for each q, refined rows for each q and one or more p. Of the result,
    `regions[model][method]` has `raw`: a block for each q, and `refined`: for each q a mapping from the place of p in
    `grid` to a block. Values are rounded by `report.numbers.digits4`; a measure that the table lacks is undefined.
    `free`: there are refined rows with p other than q, so p is chosen by itself.
    """
    grid = sorted({float(q) for q in pairs["q"]})
    compared = dict.fromkeys([*pairs["a"].astype(str), *pairs["b"].astype(str)])
    sets = [name for name in config["datasets"]["safety"] if name in compared]
    sets += [name for name in compared if name not in sets]
    place = {frozenset(pair): index for index, pair in enumerate(combinations(sets, 2))}
    refined = pairs[pairs["stage"] == "refined"]
    thresholds = config["thresholds"]
    return {
        "models": list(dict.fromkeys(pairs["model"])),
        "methods": list(dict.fromkeys(pairs["method"])),
        "sets": sets,
        "grid": grid,
        "free": bool((refined["p"] != refined["q"]).any()),
        "q": _nearest(grid, thresholds["q"]),
        "p": _nearest(grid, thresholds["p"]),
        "regions": {
            model: {method: _blocks(rows, grid, place) for method, rows in of_model.groupby("method", sort=False)}
            for model, of_model in pairs.groupby("model", sort=False)
        },
    }


def _blocks(rows: pd.DataFrame, grid: list[float], place: dict[frozenset[str], int]) -> dict[str, Any]:
    raw: list[Block] = [_block(rows[:0], place) for _ in grid]
    refined: list[dict[str, Block]] = [{} for _ in grid]
    for q, rows_at_q in rows[rows["stage"] == "raw"].groupby("q"):
        raw[_nearest(grid, q)] = _block(rows_at_q, place)
    for (q, p), rows_at_both in rows[rows["stage"] == "refined"].groupby(["q", "p"]):
        refined[_nearest(grid, q)][str(_nearest(grid, p))] = _block(rows_at_both, place)
    return {"raw": raw, "refined": refined}


def _block(rows: pd.DataFrame, place: dict[frozenset[str], int]) -> Block:
    index = [place[frozenset(pair)] for pair in zip(rows["a"], rows["b"], strict=True)]
    values = np.full((len(MEASURES), len(place)), np.nan)
    values[:, index] = rows.reindex(columns=MEASURES).to_numpy(float).T
    # Of the values as they are: a mean of rounded ones may differ in its last digit from that in a figure.
    defined = [measure[np.isfinite(measure)] for measure in values]
    mean = [float(measure.mean()) if len(measure) else np.nan for measure in defined]
    return [digits4(measure) for measure in [*values.tolist(), mean]]


def _nearest(grid: list[float], fraction: float) -> int:
    return int(np.argmin([abs(q - fraction) for q in grid])) if grid else 0


def at_start(data: dict[str, Any]) -> dict[str, Any]:
    """What is shown before anything is chosen: model, method, and by stage the block at the run's q and p.

    Also `by_q`, for each q the means over the pairs, as `means` gives them, of both stages.
    """
    model = data["models"][0]
    method = next(name for name in data["methods"] if name in data["regions"][model])
    region = data["regions"][model][method]

    def refined(q: int) -> Block:
        return region["refined"][q].get(str(data["p"] if data["free"] else q), EMPTY)

    blocks = {"raw": region["raw"][data["q"]], "refined": refined(data["q"])}
    by_q = [(means(region["raw"][q]), means(refined(q))) for q in range(len(data["grid"]))]
    return {"model": model, "method": method, "blocks": blocks, "by_q": by_q}


def means(block: Block) -> list[float | None]:
    """Mean of each measure over the pairs in which it is defined; None if there are none."""
    return block[len(MEASURES)]


def matrix(block: Block, n_sets: int, measure: int = 0) -> list[list[tuple[int, float | None] | None]]:
    """Rows of a symmetric table of sets: the place of the pair and its value; None on the diagonal."""
    place = {pair: index for index, pair in enumerate(combinations(range(n_sets), 2))}
    values = block[measure] or [None] * len(place)
    pairs = [[None if i == j else place[min(i, j), max(i, j)] for j in range(n_sets)] for i in range(n_sets)]
    return [[None if pair is None else (pair, values[pair]) for pair in row] for row in pairs]
