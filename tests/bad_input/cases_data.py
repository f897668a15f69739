"""Data files: bytes, rows, cells, samples."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from case import Deed, bad, fine, script
from hub import Hub

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.config.datasets import DatasetSpec
from safety_regions.data.download import download
from safety_regions.planning.recipes.data import dataset_recipe, prompts_recipe

FILES = [
    ("a byte that is not UTF-8", "csv", b"q\nhay\ncaf\xe9\n", "byte 0xe9 is not UTF-8", "rows.csv, line 3"),
    ("UTF-16", "csv", "q\nhay\n".encode("utf-16"), "UTF-16 text", "rows.csv"),
    ("a gzip file", "csv", gzip.compress(b"q\nhay\n", mtime=0), "a gzip file", "gunzip"),
    ("a row with a cell too many", "csv", b"q,label\nhay,a\nhay,a,b\n", "3 cells", "rows.csv, line 3"),
    ("a row with a cell too few", "csv", b"q,label\nhay,a\nhay\n", "1 cells", "rows.csv, line 3"),
    ("a quote that is never closed", "csv", b'q\nhay\n"straw\n', "not CSV: unexpected end of data", "rows.csv, line 3"),
    ("a column twice", "csv", b"q,q\nhay,a\n", "column 'q' occurs more than once", "rows.csv, line 1"),
    ("nothing in it", "csv", b"", "no rows", "rows.csv"),
    ("a header alone", "csv", b"q\n", "no rows", "rows.csv"),
    ("no such column", "csv", b"question\nhay\n", "no column 'q'", "rows.csv, line 2"),
    ("an empty prompt", "csv", b"q,label\nhay,a\n,b\n", "empty prompt in q", "rows.csv, line 3"),
    ("a prompt of spaces", "jsonl", b'{"q": "hay"}\n{"q": " \\n "}\n', "empty prompt in q", "rows.jsonl, line 2"),
    ("a prompt that is null", "jsonl", b'{"q": null}\n', "empty prompt in q", "rows.jsonl, line 1"),
    ("a prompt that is a number", "jsonl", b'{"q": 3}\n', "int '3' in column 'q'", "rows.jsonl, line 1"),
    ("a prompt that is NaN", "jsonl", b'{"q": NaN}\n', "float 'nan' in column 'q'", "rows.jsonl, line 1"),
    ("a prompt that is a list", "json", b'[{"q": ["hay"]}]', "list \"['hay']\" in column 'q'", "rows.json, row 1"),
    (
        "half of a surrogate pair",
        "jsonl",
        b'{"q": "\\ud800"}\n',
        "text that is no Unicode in column 'q': surrogates not allowed",
        "rows.jsonl, line 1",
    ),
    ("a cut-off line", "jsonl", b'{"q": "hay"}\n{"q": "st', "not JSON: Unterminated string ...", "rows.jsonl, line 2"),
    ("a list instead of an object", "jsonl", b'["hay"]\n', "a JSON list", "rows.jsonl, line 1"),
    (
        "lists in lists in lists ...",
        "json",
        b"[" * 100_000,
        "not JSON: too many lists or mappings inside each other",
        "rows.json",
    ),
    ("JSON lines called JSON", "json", b'{"q": "a"}\n{"q": "b"}\n', "not JSON: Extra data ...", "rows.json"),
    ("a cut-off Parquet file", "parquet", b"PAR1...", "not Parquet: ...", "rows.parquet"),
]


def spec_of(path: str, format: str, **more) -> DatasetSpec:
    """A local dataset with its prompts in the column q."""
    return DatasetSpec(
        source={"kind": "local", "path": path, "format": format}, licence="L", citation="C", **{"prompt": "q"} | more
    )


def fetching(data: bytes, format: str, path: str | None = None, **more) -> Deed:
    """Write a file, and fetch it by the script."""
    path = path or f"rows.{format}"
    Path(path).write_bytes(data)
    recipe = dataset_recipe("hay", spec_of(path, format, **more))
    return lambda: script(
        "fetch_dataset",
        "--recipe",
        json.dumps(recipe.as_json()),
        "--licence",
        "L",
        "--citation",
        "C",
        "--local",
        path,
        "--output",
        "out.jsonl",
    )


def prompts() -> list[str]:
    """Those that were fetched; the output is taken away."""
    rows = files.read_jsonl("out.jsonl")
    for path in (Path("out.jsonl"), Path("out.jsonl.receipt.json"), Path("out.jsonl.run.json")):
        path.unlink()
    return [row["prompt"] for row in rows]


for _what, _format, _data, _says, _names in FILES:
    bad("data files", _what, says=_says, names=_names)(lambda data=_data, format=_format: fetching(data, format))


def parquet(table: pyarrow.Table) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()


@bad(
    "data files",
    "text in Parquet that is not UTF-8",
    says="not Parquet: 'utf-8' codec can't decode byte 0xff ...",
    names="rows.parquet",
)
def latin_parquet():
    buffers = [None, pyarrow.py_buffer(np.array([0, 2], np.int32)), pyarrow.py_buffer(b"\xff\xfe")]
    return fetching(parquet(pyarrow.table({"q": pyarrow.Array.from_buffers(pyarrow.string(), 1, buffers)})), "parquet")


@bad("data files", "a small Parquet file of very many rows", says="12000000 rows", names="rows.parquet")
def parquet_bomb():
    column = pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.zeros(12_000_000, np.int8)), pyarrow.array(["hay"]))
    return fetching(parquet(pyarrow.table({"q": column})), "parquet")


@bad(
    "data files",
    "an answer of a server that unpacks to more than is allowed",
    says="more than 65536 bytes",
    names="/raw/bomb",
)
def gzip_bomb():
    class Packed(Hub):
        def reply(self, *arguments):
            reply = super().reply(*arguments)
            reply.headers["Content-Encoding"] = "gzip"
            return reply

    def deed():
        with Packed() as hub:
            download(hub.add_raw("bomb", gzip.compress(bytes(2**22))), max_bytes=2**16)

    return deed


@bad(
    "data files",
    "a Hub dataset that is not in the cache, without a network",
    says="not in the cache, and no connection to the Hub",
    names="toys/hay@0a0a0a0a0a0a",
)
def offline():
    source = {"kind": "hub", "id": "toys/hay", "revision": "0a" * 20, "split": "train"}
    recipe = dataset_recipe("hay", DatasetSpec(source=source, licence="L", citation="C"))
    return lambda: script(
        "fetch_dataset",
        "--recipe",
        json.dumps(recipe.as_json()),
        "--licence",
        "L",
        "--citation",
        "C",
        "--output",
        "out.jsonl",
    )


@bad(
    "data files",
    "a local file that changed since the run was planned",
    says="sha256 <digest> (8 bytes)",
    names="rows.csv",
)
def changed():
    deed = fetching(b"q\nhay\n", "csv")
    Path("rows.csv").write_bytes(b"q\nstraw\n")
    return deed


@bad(
    "data files",
    "another number of rows than the registry says",
    says="1 rows after the filters (of 1)",
    names="rows.csv",
)
def other_number():
    return fetching(b"q\nhay\n", "csv", rows=2)


@bad(
    "data files",
    "filters that leave no row",
    says="no row of 1 is left (dropped by keep 1)",
    names="values there are: label: 'a'",
)
def all_dropped():
    return fetching(b"q,label\nhay,a\n", "csv", keep={"label": ["b"]})


def sampling(n: int, **more) -> Deed:
    """Fetch two rows and sample some by the script."""
    fetching(b"q\nhay\nstraw\n", "csv")()
    recipe = prompts_recipe("hay", receipts.read("out.jsonl").digest, n_samples=n, seed=0, **more)
    return lambda: script(
        "sample_prompts", "--recipe", json.dumps(recipe.as_json()), "--rows", "out.jsonl", "--output", "sample.jsonl"
    )


@bad("data files", "fewer rows than are to be sampled", says="2 prompts", names="dataset hay, out.jsonl")
def too_few():
    return sampling(3)


@bad("data files", "an offset behind the last row", says="2 prompts", names="at least 10 (offset 9 + n_samples 1)")
def far_offset():
    return sampling(1, offset=9)


@bad(
    "data files",
    "rows that were altered after they were fetched",
    says="sha256 <digest>: altered or damaged since it was made",
    names="out.jsonl",
)
def altered_rows():
    deed = sampling(1)
    Path("out.jsonl").write_bytes(b"")
    return deed


def _gives(*expected: str, data: bytes, format: str, path: str | None = None, **more) -> Deed:
    fetch = fetching(data, format, path, **more)

    def deed():
        fetch()
        assert prompts() == list(expected)

    return deed


@fine("data files", "a byte order mark", gives="it is no part of the first column's name")
def mark():
    return _gives("hay", data=b"\xef\xbb\xbfq\nhay\n", format="csv")


@fine("data files", "line ends of Windows and blank lines", gives="they are no part of rows, and no rows")
def windows():
    return _gives("hay", "straw", data=b"q\r\nhay\r\n\r\nstraw\r\n", format="csv")


@fine("data files", "a line separator of Unicode in a prompt", gives="it stays inside the prompt")
def separator():
    return _gives("hay\u2028straw", data="hay\u2028straw\n".encode(), format="txt", prompt="text")


@fine(
    "data files",
    "one giant prompt, of a megabyte",
    gives="it is fetched whole; a model with fewer positions refuses it (below)",
)
def giant():
    return _gives("hay" * 2**19, data=b"q\n" + b"hay" * 2**19 + b"\n", format="csv")


@fine("data files", "ids of its own, repeated", gives="rows get ids of ours, from their number in the source")
def own_ids():
    return _gives("hay", "straw", data=b"id,q\n7,hay\n7,straw\n", format="csv")


@fine("data files", "an empty response", gives="the row has none; a run that needs one names the row")
def empty_response():
    fetch = fetching(b"q,a\nhay,\n", "csv", response="a")

    def deed():
        fetch()
        assert files.read_jsonl("out.jsonl")[0]["response"] is None
        prompts()

    return deed
