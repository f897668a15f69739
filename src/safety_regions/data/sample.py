"""A sample of a dataset's prompts: the same rows on every machine, disjoint for disjoint offsets."""

from safety_regions.data.duplicates import first_of_each
from safety_regions.errors import UserError
from safety_regions.files import sha256_of_text


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


def _too_few_hint(most: int, deduplicate: str) -> str:
    smaller = f"set n_samples to {most} or less" if most > 0 else "lower offset"
    return smaller + (", or deduplicate: none" if deduplicate != "none" else "")
