"""Files of every format become the same rows, and a malformed record is named by its line."""

import io
import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety_regions.data.formats import parse
from safety_regions.errors import UserError

ROWS = [{"prompt": "paint, the\nfence", "label": "a"}, {"prompt": 'say "hä"\u2028twice', "label": "b"}]


def cells(data: bytes, format: str) -> list[dict]:
    return [row.cells for row in parse(data, format, "FILE")]


def parquet(rows: list[dict]) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


FILES = {
    "csv": 'prompt,label\n"paint, the\nfence",a\n"say ""hä""\u2028twice",b\n'.encode(),
    "json": json.dumps(ROWS).encode(),
    "jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode(),
    "parquet": parquet(ROWS),
}


@pytest.mark.parametrize("format", FILES)
def test_every_format_gives_the_same_rows(format):
    assert cells(FILES[format], format) == ROWS


@pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
def test_a_byte_order_mark_is_no_content(format):
    assert cells(b"\xef\xbb\xbf" + FILES[format], format) == ROWS


def test_txt_has_a_prompt_per_line_and_no_blank_ones():
    rows = parse("one\r\n\n  \ntwo\u2028words".encode(), "txt", "FILE")
    assert [(row.place, row.cells) for row in rows] == [
        ("line 1", {"text": "one"}),
        ("line 4", {"text": "two\u2028words"}),
    ]


def test_csv_rows_are_placed_at_the_line_they_start_in():
    assert [row.place for row in parse(b'q\n"a\nb"\n\nc\n', "csv", "FILE")] == ["line 2", "line 5"]


def test_csv_cells_may_be_longer_than_the_modules_default_limit():
    assert cells(b"q\n" + b"x" * 200_000 + b"\n", "csv") == [{"q": "x" * 200_000}]


@pytest.mark.parametrize(
    ("format", "data", "place", "found"),
    [
        ("csv", b"a,b\n1,2\n\n1,2,3\n", "FILE, line 4", "3 cells"),
        ("csv", b"a,b\n1,2\n1\n", "FILE, line 3", "1 cells"),
        ("csv", b"a,a\n1,2\n", "FILE, line 1", "column 'a' occurs more than once"),
        ("csv", b'a,b\n1,2\n"1,2\n3,4\n', "FILE, line 3", "not CSV"),
        ("jsonl", b'{"a": 1}\n\n[1]\n', "FILE, line 3", "a JSON list"),
        ("jsonl", b'{"a": 1}\n{"a": \n', "FILE, line 2", "not JSON"),
        ("json", b'[{"a": 1}, 7]', "FILE, row 2", "a JSON int"),
        ("json", b'{"a": 1}', "FILE", "a JSON dict"),
        ("json", b"[", "FILE", "not JSON"),
        ("txt", b"one\ntwo\nthr\xe9e\n", "FILE, line 3", "byte 0xe9 is not UTF-8"),
        ("parquet", b"PAR1 or not", "FILE", "not Parquet"),
    ],
)
def test_a_malformed_record_is_named_by_its_place(format, data, place, found):
    with pytest.raises(UserError) as error:
        parse(data, format, "FILE")
    assert error.value.where == place
    assert error.value.found.startswith(found)


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["csv", "json", "jsonl", "txt", "parquet"]))
def test_arbitrary_bytes_give_rows_or_a_user_error(data, format):
    try:
        rows = parse(data, format, "FILE")
    except UserError as error:
        assert error.where.startswith("FILE")
    else:
        assert all(isinstance(row.cells, dict) for row in rows)
