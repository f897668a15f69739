"""The regions of one model and method in, three tables out: pairs, nway, sizes."""

from pathlib import Path

import pandas as pd

from safety_regions import receipts
from safety_regions.code import warn_if_changed
from safety_regions.counts import count, sample_orders
from safety_regions.errors import UserError
from safety_regions.jobs import Entry
from safety_regions.overlap import nway_table, pair_table, size_table
from safety_regions.regions import open_region
from safety_regions.store import atomic_path


def overlap(entry: Entry) -> None:
    """Write pairs.parquet, nway.parquet and sizes.parquet (see `safety_regions.overlap`) and the folder's receipt.

    Inputs by role: the region of each set by the set's name. Raises `UserError` for those that are missing, damaged, or not the
    recipe's.
    """
    recipe = entry.recipe
    safety = {name: _checked(entry, name, digest) for name, digest in recipe["safety"]}
    utility = {name: _checked(entry, name, digest) for name, digest in recipe["utility"]}
    orders = sample_orders(len(safety), recipe["orders"]["n_orders"], recipe["orders"]["seed"])
    counts = count(safety, utility, recipe["p"], orders)
    tables = {
        "pairs": pair_table(counts, recipe["p"]),
        "nway": nway_table(counts),
        "sizes": size_table(counts, recipe["p"]),
    }
    for name, table in tables.items():
        write_parquet(table, entry.path / f"{name}.parquet")
    receipts.write(entry.path, recipe, _facts({**safety, **utility}), versions=("numpy", "pandas", "pyarrow"))


def _facts(regions: dict[str, Path]) -> dict:
    """What the report says of each set without asking for its prompts or its model again."""
    keys = ("n_samples", "share_refused", "n_cut", "n_empty", "mean_response_tokens", "n_elements")
    facts = {name: receipts.read(path).facts for name, path in regions.items()}
    # Receipts from before anything was left out do not say so.
    return {"sets": {name: {key: of[key] for key in keys} | {"n_left_out": of.get("n_left_out", 0)} for name, of in facts.items()}}  # fmt: skip


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table atomically, with equal bytes for equal tables."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, engine="pyarrow", compression="zstd", index=False)


def _checked(entry: Entry, name: str, digest: str) -> Path:
    return checked_region(given(entry.inputs, name, "--job"), digest)


def given(paths: dict[str, Path], role: str, option: str) -> Path:
    """The path of a role. Raises `UserError` if it was not given."""
    if role not in paths:
        raise UserError(f"no path given for {role}", where=option, expected="a path for every role of the recipe")
    return paths[role]


def checked_region(path: Path, digest: str) -> Path:
    """The path of a region file that agrees with its receipt and was made by recipe `digest`, by its own word too."""
    warn_if_changed(str(path), receipts.check(path, digest).code)
    with open_region(path) as region:
        if region.header.recipe_digest != digest:
            raise UserError(f"this file says it was made by recipe {region.header.recipe_digest[:12]}", where=str(path), expected=f"recipe {digest[:12]}", hint="delete it with its receipt and run snakemake again")  # fmt: skip
    return path
