"""Source rows -> rows of prompt and response: which rows count, and which columns hold what."""

import re
from collections.abc import Callable

from safety_regions.config.datasets import DatasetSpec
from safety_regions.data.cells import cell, text_cell
from safety_regions.data.formats import SourceRow
from safety_regions.errors import UserError

Row = dict[str, str | None]


def map_rows(name: str, spec: DatasetSpec, source: list[SourceRow], where: str) -> tuple[list[Row], dict[str, int]]:
    """The rows `{"id", "prompt", "response"}` that pass the filters, in source order, and how many each filter dropped.

    Filters in this order: keep, drop, extract, drop_words. `id` ends in the row's 0-based number in the source.
    Raises `UserError` for a missing column, a prompt that is not text or is empty, or when no row is left.
    """
    words = _word_pattern(spec.drop_words)
    dropped = dict.fromkeys(("keep", "drop", "extract", "drop_words"), 0)
    rows: list[Row] = []
    for number, source_row in enumerate(source):
        reason = _dropped_by_columns(source_row, spec, where)
        prompt = None if reason else _prompt(source_row, spec, where)
        response = None if reason or spec.response is None else text_cell(source_row, spec.response, where) or None
        if not reason and prompt is None:
            reason = "extract"
        if not reason and words and (words.search(prompt or "") or words.search(response or "")):
            reason = "drop_words"
        if reason:
            dropped[reason] += 1
        else:
            rows.append({"id": f"{name}-{number:06d}", "prompt": prompt, "response": response})
    if not rows:
        raise _nothing_left(spec, source, dropped, where)
    return rows, dropped


def _dropped_by_columns(row: SourceRow, spec: DatasetSpec, where: str) -> str | None:
    if any(str(cell(row, column, where)) not in values for column, values in spec.keep.items()):
        return "keep"
    if any(str(cell(row, column, where)) in values for column, values in spec.drop.items()):
        return "drop"
    return None


def _prompt(row: SourceRow, spec: DatasetSpec, where: str) -> str | None:
    """The row's prompt; None if the dialogue it should come from has more than one turn."""
    columns = [spec.prompt] if isinstance(spec.prompt, str) else spec.prompt
    parts = [text_cell(row, column, where) for column in columns]
    prompt = "\n\n".join(part for part in parts if part.strip())
    if not prompt:
        raise UserError(
            f"empty prompt in {' + '.join(columns)}",
            where=f"{where}, {row.place}",
            expected="text",
            hint="drop such rows with the `keep` or `drop` filter, or name another column",
        )
    return _EXTRACTORS[spec.extract](prompt)


_TURNS = re.compile(r"\n\n(Human|Assistant):")


def single_turn(dialogue: str) -> str | None:
    r"""The human turn of a `\n\nHuman: ... \n\nAssistant: ...` dialogue that has one of each, else None."""
    start, *turns = _TURNS.split("\n\n" + dialogue.lstrip())
    if start.strip() or turns[0::2] != ["Human", "Assistant"]:
        return None
    return turns[1].strip() or None


_EXTRACTORS: dict[str, Callable[[str], str | None]] = {"none": lambda prompt: prompt, "single_turn": single_turn}


def _word_pattern(words: list[str]) -> re.Pattern[str] | None:
    if not words:
        return None
    return re.compile(r"(?<!\w)(?:" + "|".join(re.escape(word) for word in words) + ")", re.IGNORECASE)


def _nothing_left(spec: DatasetSpec, source: list[SourceRow], dropped: dict[str, int], where: str) -> UserError:
    if not source:
        return UserError("no rows", where=where, expected="at least one row")
    filters = ", ".join(f"{name} {count}" for name, count in dropped.items() if count)
    seen = [f"{column}: {_some_values(source, column, where)}" for column in (*spec.keep, *spec.drop)]
    return UserError(
        f"no row of {len(source)} is left (dropped by {filters})",
        where=where,
        expected="at least one row",
        hint=f"values there are: {'; '.join(seen)}" if seen else "look at the filters",
    )


def _some_values(source: list[SourceRow], column: str, where: str, most: int = 12) -> str:
    values = sorted({str(cell(row, column, where)) for row in source})
    return ", ".join(map(repr, values[:most])) + (", ..." if len(values) > most else "")
