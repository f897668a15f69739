"""Source rows -> rows of prompt and response: which rows count, and which columns hold what."""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

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
        said = None if reason else _EXTRACTORS[spec.extract](*_cells(source_row, spec, where))
        if not reason and said is None:
            reason = "extract"
        if said and words and any(words.search(text) for text in said):
            reason = "drop_words"
        if reason:
            dropped[reason] += 1
        elif said:
            rows.append({"id": f"{name}-{number:06d}", "prompt": said.prompt, "response": said.response or None})
    if not rows:
        raise _nothing_left(spec, source, dropped, where)
    return rows, dropped


def _dropped_by_columns(row: SourceRow, spec: DatasetSpec, where: str) -> str | None:
    if any(str(cell(row, column, where)) not in values for column, values in spec.keep.items()):
        return "keep"
    if any(str(cell(row, column, where)) in values for column, values in spec.drop.items()):
        return "drop"
    return None


class Exchange(NamedTuple):
    """A prompt with its response, which is empty where there is none."""

    prompt: str
    response: str


def _cells(row: SourceRow, spec: DatasetSpec, where: str) -> Exchange:
    """Prompt and response as the row's columns have them."""
    columns = [spec.prompt] if isinstance(spec.prompt, str) else spec.prompt
    parts = [text_cell(row, column, where) for column in columns]
    prompt = "\n\n".join(part for part in parts if part.strip())
    if not prompt:
        leave_out = f"{columns[0]}: {json.dumps([str(cell(row, columns[0], where))])}"
        raise UserError(
            f"empty prompt in {' + '.join(columns)}",
            where=f"{where}, {row.place}",
            expected="text",
            hint=f"leave such rows out with `drop: {{{leave_out}}}`, or name another column",
        )
    return Exchange(prompt, text_cell(row, spec.response, where) if spec.response else "")


_TURNS = re.compile(r"\n\n(Human|Assistant):")


def single_turn(dialogue: str) -> Exchange | None:
    r"""The turns of a `\n\nHuman: ... \n\nAssistant: ...` dialogue that has one of each, else None; without spaces at
    their ends. The human has to say something.
    """
    start, *turns = _TURNS.split("\n\n" + dialogue.lstrip())
    if start.strip() or turns[0::2] != ["Human", "Assistant"]:
        return None
    human, assistant = (turn.strip() for turn in turns[1::2])
    return Exchange(human, assistant) if human else None


def _of_dialogues(prompt: str, response: str) -> Exchange | None:
    """The human's turn of one dialogue and the assistant's of another, or of the same; a response that is no dialogue
    stays as it is.
    """
    asked = single_turn(prompt)
    if not _TURNS.match("\n\n" + response.lstrip()):
        return asked and Exchange(asked.prompt, response)
    answered = single_turn(response)
    return Exchange(asked.prompt, answered.response) if asked and answered else None


_EXTRACTORS: dict[str, Callable[[str, str], Exchange | None]] = {"none": Exchange, "single_turn": _of_dialogues}


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
