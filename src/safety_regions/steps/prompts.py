"""Rows of a dataset in, a sample of its prompts out."""

import sys
from collections.abc import Sequence
from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.data.duplicates import n_repeats
from safety_regions.data.sample import sample, sample_apart
from safety_regions.errors import UserError
from safety_regions.files import read_jsonl, write_jsonl
from safety_regions.planning.recipes.data import PromptsRecipe


def sample_prompts(
    recipe: PromptsRecipe, rows_path: Path, earlier_paths: list[Path], apart_paths: list[Path], output: Path
) -> None:
    """Write the sample and its receipt, and warn of repeats.

    `earlier_paths`: rows of the sets before this one; `apart_paths`: samples that this one has no prompt of; both in
    the recipe's order. Raises `UserError` for files that are missing, damaged, or not the recipe's, and for too few
    rows.
    """
    receipts.check(rows_path, recipe.rows)
    rows = read_jsonl(rows_path)
    earlier = _read(earlier_paths, recipe.earlier or [], "--earlier")
    others = [row for of in _read(apart_paths, recipe.apart_from or [], "--apart") for row in of]
    try:
        drawn, facts = _drawn(recipe, rows, earlier, others)
    except UserError as error:
        where = f"dataset {recipe.dataset}, {rows_path}"
        raise UserError(error.found, where=where, expected=error.expected, hint=error.hint) from None
    facts = {
        "n_source_rows": len(rows),
        "n_rows": len(drawn),
        "n_repeats": n_repeats(r["prompt"] for r in drawn),
    } | facts
    _warn(recipe.dataset, facts)
    write_jsonl(output, drawn)
    receipts.write(output, recipe.as_json(), facts)


def _read(paths: list[Path], digests: Sequence[str], where: str) -> list[list[dict]]:
    if len(paths) != len(digests):
        raise UserError(f"{len(paths)} files", where=where, expected=f"{len(digests)}, as in the recipe")
    for path, digest in zip(paths, digests, strict=True):
        receipts.check(path, digest)
    return [read_jsonl(path) for path in paths]


def _drawn(
    recipe: PromptsRecipe, rows: list[dict], earlier: list[list[dict]], others: list[dict]
) -> tuple[list[dict], dict[str, int]]:
    """The sample, and what its receipt says of the prompts that it is apart from."""
    # A recipe that asks for no similarity has none.
    near_duplicate = 1.0 if recipe.near_duplicate is None else recipe.near_duplicate
    if recipe.apart_from is None:
        options = (recipe.offset, recipe.deduplicate, near_duplicate)
        return sample(rows, earlier, recipe.n_samples, recipe.seed, *options), {}
    apart = sample_apart(rows, others, recipe.n_samples, recipe.seed, recipe.offset, near_duplicate)
    return apart.rows, {"n_left_out": apart.n_left_out, "n_near": apart.n_near}


def _warn(name: str, facts: dict[str, int]) -> None:
    n = facts["n_rows"]
    if facts["n_repeats"]:
        print(
            f"warning: dataset {name}: {facts['n_repeats']} of {n} prompts repeat one before them; "
            "`datasets.deduplicate: within` drops such prompts",
            file=sys.stderr,
        )
    if facts.get("n_near"):
        print(
            f"warning: dataset {name}: {facts['n_near']} of {n} prompts nearly repeat one that regions are identified "
            "from, since there are too few others",
            file=sys.stderr,
        )
