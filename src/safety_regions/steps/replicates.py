"""Replicate regions of one model and method in, one table of their overlaps out."""

import pandas as pd

from safety_regions.artifacts import receipts
from safety_regions.config.variants import OWN, Variant, drawn_from, part_of, role
from safety_regions.data.duplicates import normalise
from safety_regions.data.halves import half_of
from safety_regions.files import read_jsonl
from safety_regions.overlap.counts import UNION, count
from safety_regions.overlap.replicates import Facts, replicate_table
from safety_regions.steps.inputs import checked_region, given
from safety_regions.steps.jobs import Entry
from safety_regions.table_files import write_parquet


def replicates(entry: Entry) -> None:
    """Write replicates.parquet (see `safety_regions.overlap.replicates`) and the folder's receipt.

    Inputs by role: `region/SET/VARIANT`, `prompts/SET/VARIANT`. Raises `UserError` for those that are missing, damaged,
    or not the recipe's.
    """
    recipe = entry.recipe
    removed = {
        name: checked_region(given(entry.inputs, role("region", (name, OWN)), "--job"), digest)
        for name, digest in recipe["utility"]
    }
    facts = _facts(entry, list(removed))
    tables = []
    for kind, listed in recipe["groups"]:
        members = {f"{name}/{which}": (name, which) for name, which, _ in listed}
        paths = {
            f"{name}/{which}": checked_region(given(entry.inputs, role("region", (name, which)), "--job"), digest)
            for name, which, digest in listed
        }
        p = recipe["p"]
        # A utility region may be compared, too, so the removed ones have names of their own.
        counts = count(paths, {f"removed/{name}": path for name, path in removed.items()}, p, [], removals=[(UNION, p)])
        tables.append(replicate_table(kind, members, facts, counts, p))
    write_parquet(pd.concat(tables, ignore_index=True), entry.path / "replicates.parquet")
    receipts.write(entry.path, recipe, {}, versions=("numpy", "pandas", "pyarrow"))


def _facts(entry: Entry, utility: list[str]) -> dict[Variant, Facts]:
    prompts = {}
    for name, which, digest in entry.recipe["prompts"]:
        path = given(entry.inputs, role("prompts", (name, which)), "--job")
        receipts.check(path, digest)
        prompts[name, which] = [normalise(row["prompt"]) for row in read_jsonl(path)]
    facts = {}
    for _, listed in entry.recipe["groups"]:
        for name, which, _ in listed:
            of, part = (name, which), part_of((name, which))
            texts = prompts[drawn_from(of)]
            facts[of] = Facts(half_of(texts, *part) if part else texts, name in utility)
    return facts
