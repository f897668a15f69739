"""The prompts of one set."""

from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.data.sample import sample
from safety_regions.errors import UserError
from safety_regions.files import read_jsonl


def sample_prompts(recipe: dict, rows_path: Path, earlier_paths: list[Path]) -> tuple[list[dict], dict]:
    """The sample that a recipe of kind `prompts` describes, and its facts.

    The inputs' receipts are checked.
    """
    receipts.check(rows_path, recipe["rows"])
    digests = recipe.get("earlier", [])
    if len(earlier_paths) != len(digests):
        raise UserError(f"{len(earlier_paths)} files", where="--earlier", expected=f"{len(digests)}, as in the recipe")
    for path, digest in zip(earlier_paths, digests, strict=True):
        receipts.check(path, digest)
    rows = read_jsonl(rows_path)
    options = (recipe["seed"], recipe["offset"], recipe["deduplicate"], recipe.get("near_duplicate", 1.0))
    earlier = [read_jsonl(path) for path in earlier_paths]
    try:
        drawn = sample(rows, earlier, recipe["n_samples"], *options)
    except UserError as error:
        raise UserError(
            error.found, where=f"dataset {recipe['dataset']}, {rows_path}", expected=error.expected, hint=error.hint
        ) from None
    return drawn, {"n_source_rows": len(rows), "n_rows": len(drawn)}
