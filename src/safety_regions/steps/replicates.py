"""Replicate regions of one model and method in, one table of their overlaps out."""

import pandas as pd

from safety_regions.config.variants import FIRST, HALF, Variant
from safety_regions.data.duplicates import normalise
from safety_regions.data.halves import half_of
from safety_regions.overlap.counts import UNION, count
from safety_regions.overlap.replicates import Facts, replicate_table
from safety_regions.planning.recipes.tables import ReplicatesRecipe
from safety_regions.steps.entry import Entry
from safety_regions.table_files import write_parquet


def replicates(entry: Entry[ReplicatesRecipe]) -> None:
    """Write replicates.parquet (see `safety_regions.overlap.replicates`) and the folder's receipt.

    Inputs by role: `region/SET/VARIANT`, `prompts/SET/VARIANT`. Raises `UserError` for those that are missing, damaged,
    or not the recipe's.
    """
    recipe = entry.recipe
    # A utility region may be compared, too, so the removed ones have names of their own.
    removed = {f"removed/{name}": entry.region(Variant(name).role("region")) for name, _ in recipe.utility}
    facts = _facts(entry)
    tables = []
    for kind, listed in recipe.groups:
        members = {f"{member.set}/{member.label}": member.variant for member in listed}
        paths = {name: entry.region(variant.role("region")) for name, variant in members.items()}
        counts = count(paths, removed, recipe.p, [], removals=[(UNION, recipe.p)])
        tables.append(replicate_table(kind, members, facts, counts, recipe.p))
    write_parquet(pd.concat(tables, ignore_index=True), entry.path / "replicates.parquet")
    entry.done({}, versions=("numpy", "pandas", "pyarrow"))


def _facts(entry: Entry[ReplicatesRecipe]) -> dict[Variant, Facts]:
    """Of each compared region the prompts behind it, and whether its set is harmless."""
    harmless = {name for name, _ in entry.recipe.utility}
    rows = {listed.variant: entry.rows(listed.variant.role("prompts")) for listed in entry.recipe.prompts}
    variants = [member.variant for _, listed in entry.recipe.groups for member in listed]
    return {
        variant: Facts(_prompts(rows[variant.drawn_from], variant), variant.set in harmless) for variant in variants
    }


def _prompts(rows: list[dict], variant: Variant) -> list[str]:
    """What a region was identified from, normalised."""
    if variant.which == FIRST:
        rows = rows[: variant.number]
    if variant.which == HALF:
        rows = half_of(rows, variant.number, variant.half)
    return [normalise(row["prompt"]) for row in rows]
