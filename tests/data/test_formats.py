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
        ("json", b'{"a": 1}', "FILE", "a JSON dict with the keys 'a'"),
        ("json", b'{"a": [1, 2], "b": [1]}', "FILE", "lists of unequal lengths: a 2, b 1"),
        ("json", b'["one", {"a": 1}]', "FILE, row 1", "a JSON str"),
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


@pytest.mark.parametrize(
    ("format", "data", "hint"),
    [
        ("json", b'{"q": "a"}\n{"q": "b"}\n', "is the format jsonl?"),
        ("json", b'{"version": 1, "data": [{"q": "a"}]}', "jq '.[\"data\"]' OLD > NEW"),
        ("json", b'{"1": {"q": "a"}, "2": {"q": "b"}}', "jq '[.[]]' OLD > NEW"),
        ("jsonl", b'[\n{"q": "a"}\n]', "is the format json?"),
        ("jsonl", b'{\n"q": ["a"]\n}', "is the format json?"),
        ("jsonl", b'[{"q": "a"}]', "is the format json?"),
        ("txt", b'[\n "a",\n "b"\n]\n', "is the format json?"),
        ("txt", b"['a', 'b']", "is the format json?"),
        ("txt", b'{"q": "a"}\n{"q": "b"}\n', "is the format jsonl?"),
        ("csv", b"q\tlabel\na\tx\n", 'delimiter: "\\t"'),
        ("csv", b"q;label\na;x\n", 'delimiter: ";"'),
        ("txt", "a".encode("utf-16"), "iconv -f UTF-16 -t UTF-8"),
        ("csv", "q\na\n".encode("utf-16-le"), "iconv -f UTF-16LE -t UTF-8"),
        ("csv", "q\na\n".encode("utf-16-be"), "iconv -f UTF-16BE -t UTF-8"),
        ("txt", "\u201cquoted\u201d".encode("cp1252"), "iconv -f CP1252 -t UTF-8"),
        ("txt", b"\x81\xe9", "iconv -f LATIN1 -t UTF-8"),
    ],
)
def test_a_file_of_another_kind_than_it_is_said_to_be_is_told_with_what_to_do(format, data, hint):
    with pytest.raises(UserError) as error:
        parse(data, format, "FILE")
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b'["one", "two"]', [{"text": "one"}, {"text": "two"}]),
        (b'{"q": ["one", "two"], "label": ["x", "y"]}', [{"q": "one", "label": "x"}, {"q": "two", "label": "y"}]),
        (b"[]", []),
    ],
)
def test_json_may_be_a_list_of_texts_or_columns(data, rows):
    assert cells(data, "json") == rows


def test_csv_has_the_delimiter_that_its_source_names():
    rows = parse(b"q\tlabel\none, two\tx\n", "csv", "FILE", delimiter="\t")
    assert [row.cells for row in rows] == [{"q": "one, two", "label": "x"}]


def test_a_prompt_in_brackets_is_no_list():
    assert cells(b"[INST] one [/INST]\n[two]\n", "txt") == [{"text": "[INST] one [/INST]"}, {"text": "[two]"}]


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["csv", "json", "jsonl", "txt", "parquet"]))
def test_arbitrary_bytes_give_rows_or_a_user_error(data, format):
    try:
        rows = parse(data, format, "FILE")
    except UserError as error:
        assert error.where.startswith("FILE")
    else:
        assert all(isinstance(row.cells, dict) for row in rows)
