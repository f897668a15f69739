"""A sample of a dataset's prompts: the same on every machine and under every name, disjoint for disjoint offsets."""

from collections import Counter
from dataclasses import dataclass

from safety_regions.data.duplicates import NearIndex, first_of_each, normalise, words_of
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


@dataclass(frozen=True)
class Apart:
    """Rows whose prompts are not those of others."""

    rows: list[dict]
    n_left_out: int
    """Of the rows that they were drawn from: those that repeat one of the others."""
    n_near: int
    """Of `rows`: those that nearly repeat one of the others."""


def sample_apart(
    rows: list[dict], others: list[dict], n: int, seed: int, offset: int = 0, near_duplicate: float = 0.6
) -> Apart:
    """`n` of the rows after the first `offset` in the seeded order, without those whose prompt repeats one of `others`.

    Prompts that are equal after `normalise` repeat each other. Rows whose word set has Jaccard similarity >=
    `near_duplicate` with that of one of `others` come last: they are drawn only where there are too few besides.
    Raises `UserError` if fewer than n rows are left.
    """
    behind = seeded_order(rows, seed)[offset:]
    prompts = {normalise(row["prompt"]) for row in others}
    left = [row for row in behind if normalise(row["prompt"]) not in prompts]
    n_left_out = len(behind) - len(left)
    if len(left) < n:
        raise UserError(
            f"{len(left)} prompts behind the first {offset} (of {len(rows)}; {n_left_out} more repeat prompts that"
            " regions are identified from)",
            expected=f"at least {n}",
            hint="ask for fewer prompts, or lower offset",
        )
    near = _near(left, others, near_duplicate)
    order = sorted(range(len(left)), key=near.__getitem__)[:n]
    return Apart([left[i] for i in order], n_left_out, sum(near[i] for i in order))


def _near(rows: list[dict], others: list[dict], near_duplicate: float) -> list[bool]:
    """Of each row, whether it nearly repeats one of the others."""
    words, known = ([words_of(row["prompt"]) for row in of] for of in (rows, others))
    index = NearIndex([*known, *words], near_duplicate)
    for number, of in enumerate(known):
        index.add(number, of)
    return [next(index.find(of), None) is not None for of in words]


def seeded_order(rows: list[dict], seed: int) -> list[dict]:
    """The rows by the sha256 of `seed:k:prompt` with the prompt after `normalise`: an order that depends on the seed
    and on what the rows say, and not on their ids.

    k counts the rows of one prompt from 0, so that repeats are drawn independently of each other. They are counted in
    the order of their texts (prompt, then response, none before any), and of equal texts in the order of `rows`.
    """
    ties = sorted(range(len(rows)), key=lambda i: (rows[i]["prompt"], rows[i]["response"] or ""))
    counted: Counter[str] = Counter()
    keys = {}
    for i in ties:
        prompt = normalise(rows[i]["prompt"])
        keys[i] = sha256_of_text(f"{seed}:{counted[prompt]}:{prompt}")
        counted[prompt] += 1
    return [rows[i] for i in sorted(keys, key=keys.__getitem__)]


def drop_duplicates(rows: list[dict], earlier: list[list[dict]], deduplicate: str, near_duplicate: float) -> list[dict]:
    """The rows without repeats, first occurrence kept, in their order; see `sample`."""
    if deduplicate == "none":
        return rows
    others = [row["prompt"] for others in earlier for row in others] if deduplicate == "across" else []
    return [rows[i] for i in first_of_each([row["prompt"] for row in rows], others, near_duplicate)]


def _too_few_hint(most: int, deduplicate: str) -> str:
    smaller = f"set n_samples to {most} or less" if most > 0 else "lower offset"
    return smaller + (", or deduplicate: none" if deduplicate != "none" else "")
