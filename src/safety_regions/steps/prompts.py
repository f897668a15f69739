"""Rows of a dataset in, a sample of its prompts out."""

from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.data.sample import sample
from safety_regions.errors import UserError
from safety_regions.files import read_jsonl, write_jsonl
from safety_regions.planning.recipes.data import PromptsRecipe


def sample_prompts(recipe: PromptsRecipe, rows_path: Path, earlier_paths: list[Path], output: Path) -> None:
    """Write the sample and its receipt; `earlier_paths`: rows of the sets before this one, in the recipe's order.

    Raises `UserError` for rows that are missing, damaged, or not the recipe's, and for too few of them.
    """
    digests = recipe.earlier or []
    receipts.check(rows_path, recipe.rows)
    if len(earlier_paths) != len(digests):
        raise UserError(f"{len(earlier_paths)} files", where="--earlier", expected=f"{len(digests)}, as in the recipe")
    for path, digest in zip(earlier_paths, digests, strict=True):
        receipts.check(path, digest)
    rows, earlier = read_jsonl(rows_path), [read_jsonl(path) for path in earlier_paths]
    # Without de-duplication no similarity is asked for.
    near_duplicate = 1.0 if recipe.near_duplicate is None else recipe.near_duplicate
    try:
        drawn = sample(rows, earlier, recipe.n_samples, recipe.seed, recipe.offset, recipe.deduplicate, near_duplicate)
    except UserError as error:
        where = f"dataset {recipe.dataset}, {rows_path}"
        raise UserError(error.found, where=where, expected=error.expected, hint=error.hint) from None
    write_jsonl(output, drawn)
    receipts.write(output, recipe.as_json(), {"n_source_rows": len(rows), "n_rows": len(drawn)})
