"""A sample of a dataset's prompts: the same rows on every machine, disjoint for disjoint offsets."""

from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.data.duplicates import first_of_each
from safety_regions.errors import UserError
from safety_regions.files import read_jsonl, sha256_of_text


def sample(
    rows: list[dict],
    earlier: list[list[dict]],
    n: int,
    seed: int,
    offset: int = 0,
    deduplicate: str = "none",
    near_duplicate: float = 0.6,
) -> list[dict]:
    """`n` of the rows, de-duplicated if asked, after the first `offset` in the seeded order.

    `deduplicate`: `none`; `within`: a row that repeats a kept row before it is dropped; `across`: one that repeats any
    row of `earlier` as well. Raises `UserError` if fewer than offset + n rows are left.
    """
    left = drop_duplicates(rows, earlier, deduplicate, near_duplicate)
    if len(left) < offset + n:
        gone = f" after de-duplication (of {len(rows)})" if deduplicate != "none" else ""
        raise UserError(
            f"{len(left)} prompts{gone}",
            expected=f"at least {offset + n} (offset {offset} + n_samples {n})",
            hint=_too_few_hint(len(left) - offset, deduplicate),
        )
    return seeded_order(left, seed)[offset : offset + n]


def seeded_order(rows: list[dict], seed: int) -> list[dict]:
    """The rows by the sha256 of `seed:id`: an order that depends on the seed and the ids, and on nothing else."""
    return sorted(rows, key=lambda row: sha256_of_text(f"{seed}:{row['id']}"))


def drop_duplicates(rows: list[dict], earlier: list[list[dict]], deduplicate: str, near_duplicate: float) -> list[dict]:
    """The rows without repeats, first occurrence kept, in their order; see `sample`."""
    if deduplicate == "none":
        return rows
    others = [row["prompt"] for others in earlier for row in others] if deduplicate == "across" else []
    return [rows[i] for i in first_of_each([row["prompt"] for row in rows], others, near_duplicate)]


def sample_recipe(recipe: dict, rows_path: Path, earlier_paths: list[Path]) -> tuple[list[dict], dict]:
    """The sample that a recipe of `recipe.prompts_recipe` describes, and its facts.

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


def _too_few_hint(most: int, deduplicate: str) -> str:
    smaller = f"set n_samples to {most} or less" if most > 0 else "lower offset"
    return smaller + (", or deduplicate: none" if deduplicate != "none" else "")
