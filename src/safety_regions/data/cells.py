"""Cells of a row by column name, with dots that reach into nested cells."""

from typing import Any

from safety_regions.data.formats import SourceRow
from safety_regions.errors import UserError, did_you_mean


def cell(row: SourceRow, column: str, where: str) -> Any:
    """The value of `column`: a column of that very name, else a path such as `instances.0.input`.

    Raises `UserError` that names the row, the nearest name and the names there are.
    """
    if column in row.cells:
        return row.cells[column]
    value: Any = row.cells
    for step in column.split("."):
        found, value = _step(value, step)
        if not found:
            names = _names(value)
            raise UserError(
                f"no column {column!r}",
                where=f"{where}, {row.place}",
                expected=f"one of: {', '.join(names) or '(nothing inside)'}",
                hint=did_you_mean(step, names),
            )
    return value


def _step(value: Any, step: str) -> tuple[bool, Any]:
    """Whether `step` leads further, and to what; if it does not, the value in which it was looked for."""
    if isinstance(value, dict) and step in value:
        return True, value[step]
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return True, value[int(step)]
    return False, value


def _names(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [str(key) for key in value]
    return [str(i) for i in range(len(value))] if isinstance(value, list) else []


def text_cell(row: SourceRow, column: str, where: str) -> str:
    """The text in `column`; an empty cell (null) is empty text. Raises `UserError` for a value that is not text."""
    value = cell(row, column, where)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(
            f"{type(value).__name__} {str(value)[:40]!r} in column {column!r}",
            where=f"{where}, {row.place}",
            expected="text",
            hint="name a column of text; dots reach into nested cells: answers.0.text",
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"text that is no Unicode in column {column!r}: {error.reason}",
            where=f"{where}, {row.place}",
            hint="correct or drop this row",
        ) from None
    return value
