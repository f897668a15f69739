"""Bytes of one file -> rows, each with the place it came from."""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from safety_regions.config.datasets import Format
from safety_regions.errors import UserError

MAX_ROWS = 10_000_000
"""Of one Parquet file."""
ROWS_OF_JSON = "a list of objects or of texts, or an object of lists of one length"
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class SourceRow:
    """One row as its source has it."""

    place: str
    """1-based `line 7` of a text file, or `row 7` where there are no lines."""
    cells: dict[str, Any]


def parse(data: bytes, format: Format, where: str, delimiter: str = ",") -> list[SourceRow]:
    """The rows of a file's bytes. Text is UTF-8, with or without a byte order mark.

    csv: the first record names the columns; `delimiter` stands between cells. json: a list of objects; or of texts,
    which are the column `text`; or an object of columns, lists of one length. jsonl: an object per line. txt: a prompt
    per line, in the column `text`. Blank lines are no rows. Raises `UserError` that names the line of a malformed
    record, and for a file that is of another format or encoding than it is said to be.
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
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError("UTF-16 text", where=where, expected="UTF-8 text", hint=_convert("UTF-16"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            where=f"{where}, line {line}",
            expected="UTF-8 text",
            hint=_convert(_one_byte_encoding(data)),
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        little = data[1:2] == b"\0"
        raise UserError(
            "a character NUL, as UTF-16 text has many",
            where=f"{where}, line {line}",
            expected="UTF-8 text",
            hint=_convert("UTF-16LE" if little else "UTF-16BE"),
        )
    return text


def _convert(encoding: str) -> str:
    return f"convert the file: iconv -f {encoding} -t UTF-8 OLD > NEW"


def _one_byte_encoding(data: bytes) -> str:
    """Windows' where it can be: it has letters, quotes and dashes where Latin 1 has control characters."""
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "LATIN1"
    return "CP1252"


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
                    hint="look for an unquoted delimiter or a missing quote, or name another `delimiter`",
                )
            rows.append(SourceRow(place, dict(zip(columns, record, strict=True))))
    except csv.Error as error:
        raise UserError(
            f"not CSV: {error}", where=f"{where}, line {start}", hint="look for a quote that is never closed"
        ) from None
    return rows


def _header(record: list[str], where: str) -> list[str]:
    if len(record) == 1 and (other := next((d for d in "\t;|" if d in record[0]), None)):
        raise UserError(
            f"one column, {record[0][:60]!r}",
            where=where,
            expected="columns with the `delimiter` of this source between them",
            hint=f"set `delimiter: {json.dumps(other)}` beside `format: csv`",
        )
    twice = sorted({column for column in record if record.count(column) > 1})
    if twice:
        raise UserError(f"column {twice[0]!r} occurs more than once", where=where, expected="one name per column")
    return record


def _json(data: bytes, where: str) -> list[SourceRow]:
    text = _text(data, where)
    content = _load_json(text, where, "is the format jsonl?" if _is_json(text.lstrip().split("\n", 1)[0]) else "")
    if isinstance(content, dict):
        content = _records(content, where)
    if not isinstance(content, list):
        raise UserError(f"a JSON {type(content).__name__}", where=where, expected=ROWS_OF_JSON)
    if content and all(isinstance(cells, str) for cells in content):
        content = [{"text": text} for text in content]
    return [_object(cells, f"row {number}", where) for number, cells in enumerate(content, 1)]


def _records(columns: dict, where: str) -> list[dict]:
    """The rows of an object of columns."""
    lengths = {name: len(cells) for name, cells in columns.items() if isinstance(cells, list)}
    if columns and len(lengths) == len(columns) and len(set(lengths.values())) == 1:
        return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    if len(lengths) == len(columns) and lengths:
        raise UserError(
            f"lists of unequal lengths: {', '.join(f'{name} {n}' for name, n in lengths.items())}",
            where=where,
            expected=ROWS_OF_JSON,
        )
    if lengths:
        longest = max(lengths, key=lambda name: lengths[name])
        hint = f"take the list out of it: jq '.[{json.dumps(longest)}]' OLD > NEW"
    elif columns and all(isinstance(cells, dict) for cells in columns.values()):
        hint = "take the objects out of it: jq '[.[]]' OLD > NEW"
    else:
        hint = "is the format jsonl?"
    raise UserError(
        f"a JSON dict with the keys {', '.join(map(repr, list(columns)[:5]))}",
        where=where,
        expected=ROWS_OF_JSON,
        hint=hint,
    )


def _jsonl(data: bytes, where: str) -> list[SourceRow]:
    rows = []
    for place, line in _lines(data, where):
        hint = "is the format json?" if line.strip() == "{" or line.lstrip().startswith("[") else ""
        rows.append(_object(_load_json(line, f"{where}, {place}", hint), place, where, hint))
    return rows


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _load_json(text: str, where: str, hint: str = "") -> Any:
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
            hint=hint or "look for a cut-off end, single quotes, or a trailing comma",
        ) from None


def _object(cells: Any, place: str, where: str, hint: str = "") -> SourceRow:
    if not isinstance(cells, dict):
        raise UserError(f"a JSON {type(cells).__name__}", where=f"{where}, {place}", expected="an object", hint=hint)
    return SourceRow(place, cells)


def _txt(data: bytes, where: str) -> list[SourceRow]:
    lines = _lines(data, where)
    if lines and _is_json(lines[0][1]) and lines[0][1].lstrip().startswith("{"):
        raise UserError(
            "a JSON dict", where=f"{where}, {lines[0][0]}", expected="a prompt", hint="is the format jsonl?"
        )
    first, last = (lines[0][1].strip(), lines[-1][1].strip()) if lines else ("", "")
    if re.match(r"""\[\s*(?:["'{]|$)""", first) and last.endswith("]"):
        raise UserError(
            "a list", where=f"{where}, {lines[0][0]}", expected="a prompt per line", hint="is the format json?"
        )
    return [SourceRow(place, {"text": line}) for place, line in lines]


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
