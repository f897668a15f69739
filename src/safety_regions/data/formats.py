"""Bytes of one file -> rows, each with the place it came from."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from safety_regions.config.datasets import Format
from safety_regions.errors import UserError

MAX_ROWS = 10_000_000
"""Of one Parquet file."""
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class SourceRow:
    """One row as its source has it."""

    place: str
    """1-based `line 7` of a text file, or `row 7` where there are no lines."""
    cells: dict[str, Any]


def parse(data: bytes, format: Format, where: str, delimiter: str = ",") -> list[SourceRow]:
    """The rows of a file's bytes. Text is UTF-8, with or without a byte order mark.

    csv: the first record names the columns; `delimiter` stands between cells. json: a list of objects. jsonl: an object
    per line. txt: a prompt per line, in the column `text`. Blank lines are no rows. Raises `UserError` that names the
    line of a malformed record.
    """
    return _csv(data, where, delimiter) if format == "csv" else _PARSERS[format](data, where)


def _text(data: bytes, where: str) -> str:
    if data.startswith(GZIP):
        raise UserError(
            "a gzip file",
            where=where,
            expected="UTF-8 text",
            hint="unpack it with gunzip: nothing is unpacked here, however large it may become",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            where=f"{where}, line {line}",
            expected="UTF-8 text",
            hint="convert the file, for example with iconv -f latin1 -t utf-8",
        ) from None


def _lines(data: bytes, where: str) -> list[tuple[str, str]]:
    # str.splitlines would also split at U+2028 and its like, which occur inside prompts.
    lines = [line.removesuffix("\r") for line in _text(data, where).split("\n")]
    return [(f"line {number}", line) for number, line in enumerate(lines, 1) if line.strip()]


def _csv(data: bytes, where: str, delimiter: str) -> list[SourceRow]:
    csv.field_size_limit(2**31 - 1)  # the default refuses cells above 128 KiB
    reader = csv.reader(io.StringIO(_text(data, where), newline=""), strict=True, delimiter=delimiter)
    columns: list[str] = []
    rows = []
    start = 1
    try:
        for record in reader:
            place, start = f"line {start}", reader.line_num + 1
            if not record:
                continue
            if not columns:
                columns = _header(record, f"{where}, {place}")
                continue
            if len(record) != len(columns):
                raise UserError(
                    f"{len(record)} cells",
                    where=f"{where}, {place}",
                    expected=f"{len(columns)} cells, as in the header",
                    hint="look for an unquoted comma or a missing quote",
                )
            rows.append(SourceRow(place, dict(zip(columns, record, strict=True))))
    except csv.Error as error:
        raise UserError(
            f"not CSV: {error}", where=f"{where}, line {start}", hint="look for a quote that is never closed"
        ) from None
    return rows


def _header(record: list[str], where: str) -> list[str]:
    twice = sorted({column for column in record if record.count(column) > 1})
    if twice:
        raise UserError(f"column {twice[0]!r} occurs more than once", where=where, expected="one name per column")
    return record


def _json(data: bytes, where: str) -> list[SourceRow]:
    content = _load_json(_text(data, where), where)
    if not isinstance(content, list):
        raise UserError(
            f"a JSON {type(content).__name__}", where=where, expected="a list of objects", hint="is the format jsonl?"
        )
    return [_object(cells, f"row {number}", where) for number, cells in enumerate(content, 1)]


def _jsonl(data: bytes, where: str) -> list[SourceRow]:
    return [_object(_load_json(line, f"{where}, {place}"), place, where) for place, line in _lines(data, where)]


def _load_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise UserError(
            "not JSON: too many lists or mappings inside each other", where=where, expected="rows of text"
        ) from None
    except ValueError as error:
        raise UserError(
            f"not JSON: {error}",
            where=where,
            expected="UTF-8 JSON",
            hint="look for a cut-off end, single quotes, or a trailing comma",
        ) from None


def _object(cells: Any, place: str, where: str) -> SourceRow:
    if not isinstance(cells, dict):
        raise UserError(f"a JSON {type(cells).__name__}", where=f"{where}, {place}", expected="an object")
    return SourceRow(place, cells)


def _txt(data: bytes, where: str) -> list[SourceRow]:
    return [SourceRow(place, {"text": line}) for place, line in _lines(data, where)]


def _parquet(data: bytes, where: str) -> list[SourceRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        # A dictionary and run lengths let a small file stand for any number of rows.
        n_rows = pyarrow.parquet.read_metadata(pyarrow.BufferReader(data)).num_rows
        if n_rows > MAX_ROWS:
            raise UserError(
                f"{n_rows} rows",
                where=where,
                expected=f"at most {MAX_ROWS} rows",
                hint="cut the file, for example to the rows of one split",
            )
        rows = pyarrow.parquet.read_table(pyarrow.BufferReader(data)).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"not Parquet: {error}",
            where=where,
            expected="a whole Parquet file of UTF-8 text",
            hint="write or download it again",
        ) from None
    return [SourceRow(f"row {number}", cells) for number, cells in enumerate(rows, 1)]


_PARSERS: dict[str, Callable[[bytes, str], list[SourceRow]]] = {
    "json": _json,
    "jsonl": _jsonl,
    "txt": _txt,
    "parquet": _parquet,
}
