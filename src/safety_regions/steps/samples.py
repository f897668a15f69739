"""The pairs of a set, or a part of them, as tokens."""

import sys

from safety_regions.data.duplicates import n_repeats, response_facts
from safety_regions.data.halves import half_of
from safety_regions.errors import UserError
from safety_regions.models.checks import refuse_unreadable
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, encode_pair
from safety_regions.planning.recipes.regions import MethodRecipe, Part
from safety_regions.steps.entry import Entry

MOST_LEFT_OUT = 0.1
"""Share of a set's pairs that may have a response without a token, as base models give now and then."""


def read_samples(entry: Entry[MethodRecipe], loaded: LoadedModel) -> tuple[list[Sample], dict]:
    """The pairs of an entry, or its part of them, as tokens; and what receipts say of them.

    A pair whose response has no token has nothing to be identified from: it is left out, counted and named.
    """
    path, rows = entry.inputs["pairs"], entry.rows("pairs")
    if part := entry.recipe.part:
        rows = _part_of(rows, part)
    n_all, n_empty = len(rows), sum(not row["response"] for row in rows)
    end_of_turn = entry.recipe.sampled.end_of_turn
    encoded = [(row, _encode(row, loaded, end_of_turn)) for row in rows]
    _report_left_out([s.id for _, s in encoded if len(s.input_ids) == s.n_prompt], n_all, str(path))
    encoded = [(row, s) for row, s in encoded if len(s.input_ids) > s.n_prompt]
    rows, samples = [row for row, _ in encoded], [s for _, s in encoded]
    refuse_unreadable(loaded.model, {s.id: s.input_ids for s in samples}, str(path))
    n = len(samples)
    facts = {
        "n_samples": n,
        "n_left_out": n_all - n,
        "n_repeats": n_repeats(row["prompt"] for row in rows),
        "share_refused": round(sum(row["refused"] for row in rows) / n, 6),
        "share_degenerate": round(sum(row["degenerate"] for row in rows) / n, 6),
        "n_foreign": sum(row["foreign"] for row in rows),
        "n_cut": sum(not row["finished"] for row in rows),
        "n_empty": n_empty,
        "mean_response_tokens": round(sum(len(s.input_ids) - s.n_prompt for s in samples) / n, 2),
        "mean_tokens": round(sum(len(s.input_ids) for s in samples) / n, 2),
        **response_facts([row["response"] for row in rows]),
    }
    return samples, facts


def _part_of(rows: list[dict], part: Part) -> list[dict]:
    if part.split is None or part.half is None:
        return rows[: part.first]
    return half_of(rows, part.split, part.half)


def content_facts(samples: list[Sample]) -> dict[str, float]:
    """What receipts say of the user's own text in the prompts; nothing where it is not known."""
    lengths = [len(s.content) for s in samples if s.content is not None]
    return {"mean_content_tokens": round(sum(lengths) / len(lengths), 2)} if len(lengths) == len(samples) else {}


def _report_left_out(ids: list[str], of: int, where: str) -> None:
    """Say which pairs are left out. Raises `UserError` if they are too many for the rest to stand for the set."""
    if not ids:
        return
    found = (
        f"{len(ids)} of {of} responses without a single token: {', '.join(ids[:5])}{', ...' if len(ids) > 5 else ''}"
    )
    if len(ids) > MOST_LEFT_OUT * of:
        raise UserError(
            found,
            where=where,
            expected=f"no more than {MOST_LEFT_OUT:.0%}, which are left out",
            hint="raise responses.max_new_tokens, or use responses.policy: template",
        )
    print(f"warning: {where}: {found}; left out", file=sys.stderr)


def _encode(row: dict, loaded: LoadedModel, end_of_turn: bool) -> Sample:
    return encode_pair(
        loaded.tokenizer,
        row["prompt"],
        row["response"],
        eos_ids=loaded.eos_ids,
        finished=row["finished"] and end_of_turn,
        plain_template=loaded.plain_template,
        id=row["id"],
    )
