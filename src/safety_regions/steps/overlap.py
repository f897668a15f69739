"""The regions of one model and method in, tables out: pairs, nway, agreement, sizes, levels, placebo."""

import sys
from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.data.duplicates import RESPONSE_FACTS
from safety_regions.overlap.controls import level_table, placebo_table, taken_out
from safety_regions.overlap.counts import count, sample_orders
from safety_regions.overlap.tables import agreement_table, nway_table, pair_table, size_table
from safety_regions.planning.recipes.tables import OverlapRecipe
from safety_regions.steps.entry import Entry
from safety_regions.table_files import write_parquet


def overlap(entry: Entry[OverlapRecipe]) -> None:
    """Write pairs.parquet, nway.parquet, agreement.parquet and sizes.parquet (see `safety_regions.overlap.tables`),
    levels.parquet and placebo.parquet (`safety_regions.overlap.controls`), and the folder's receipt.

    Inputs by role: the region of each set by the set's name. Raises `UserError` for those that are missing, damaged, or
    not the recipe's.
    """
    recipe = entry.recipe
    safety = {name: entry.region(name) for name, _ in recipe.safety}
    utility = {name: entry.region(name) for name, _ in recipe.utility}
    orders = sample_orders(len(safety), recipe.orders["n_orders"], recipe.orders["seed"])
    counts = count(safety, utility, recipe.p, orders)
    controls = count(safety, safety, recipe.p, [], "controls", taken_out(counts.safety, counts.header.grid))
    tables = {
        "pairs": pair_table(counts, recipe.p),
        "nway": nway_table(counts),
        "agreement": agreement_table(counts),
        "sizes": size_table(counts, recipe.p),
        "levels": level_table(controls),
        "placebo": placebo_table(controls),
    }
    for name, table in tables.items():
        write_parquet(table, entry.path / f"{name}.parquet")
    entry.done(_facts({**safety, **utility}), versions=("numpy", "pandas", "pyarrow"))


def _facts(regions: dict[str, Path]) -> dict:
    """What the report says of each set without asking for its prompts or its model again."""
    keys = (
        "n_samples",
        "share_refused",
        "share_degenerate",
        "n_foreign",
        "n_cut",
        "n_empty",
        "mean_response_tokens",
        "n_elements",
    )
    facts = {name: receipts.read(path).facts for name, path in regions.items()}
    lacking = {name: _lacking(facts[name], path) for name, path in regions.items()}
    # Receipts from before these were counted do not say so.
    return {
        "sets": {
            name: {key: of[key] for key in keys}
            | {key: of.get(key, 0) for key in ("n_left_out", "n_repeats")}
            | {key: of[key] for key in RESPONSE_FACTS if key in of}
            for name, of in facts.items()
        },
        "n_lacking": {name: of for name, of in lacking.items() if of},
    }


def _lacking(facts: dict, path: Path) -> dict[str, int]:
    """By fraction, as far as a region holds fewer elements than it asks for; with a warning of the largest lack."""
    lacking = {fraction: n for fraction, n in facts.get("n_lacking", {}).items() if n}
    if lacking:
        fraction, n = max(lacking.items(), key=lambda item: item[1])
        found = f"{n} of {n + facts['n_in_fraction'][fraction]} elements that fraction {fraction} asks for are lacking"
        print(f"warning: {path}: {found}; an element with a score of 0 is in no region", file=sys.stderr)
    return lacking
