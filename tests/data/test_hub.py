"""Of a Hub dataset the files of the wanted split alone are fetched, and read as files from elsewhere are; and what the
Hub, the network or the disk refuse is told by its cause.
"""

import errno
import gzip
import json
import subprocess
import sys

import httpx2
import pytest
from hub import Hub
from huggingface_hub import errors

from safety_regions.errors import UserError
from safety_regions.hub import hub_errors

SKIPPING = b"---\nconfigs:\n- {config_name: default, data_files: data.csv, skiprows: 1}\n---\n"
LINES = b'{"q": "one"}\n\n{"q": "two"}\n'
DATASETS: dict[str, dict[str, bytes]] = {
    "columns": {"train.csv": b"prompt,target\nx,y\n", "test.csv": b"q\none\n"},
    "missing": {"test.csv": b"q\nN/A\nnull\nNone\nnan\n"},
    "text": {"test.txt": b"one\n\ntwo\n"},
    "tabs": {"test.tsv": b"q\tlabel\none, two\tx\n"},
    "lines": {"test.json": LINES},
    "list": {"test.json": b'[\n{"q": "one"}]'},
    "packed": {"test.jsonl.gz": gzip.compress(LINES)},
    "parts": {f"data/test-0000{i}-of-00002.csv": f"q\n{i}\n".encode() for i in (1, 0)},
    "script": {"script.py": b"import os", "test.csv": b"q\none\n"},
    "skipping": {"README.md": SKIPPING.replace(b"data.csv", b"[{split: test, path: data.csv}]"), "data.csv": b"q\n"},
    "arrow": {"test.arrow": b""},
    "shaky": {"test.csv": b"q\none\n"},
}
LOAD = """
import json, sys
from safety_regions.config.datasets import HubDataset
from safety_regions.data.hub import load_hub
from safety_regions.errors import UserError
found = {}
for name, revision in json.loads(sys.argv[1]).items():
    try:
        source = HubDataset(kind="hub", id=f"toys/{name}", revision=revision, split="test")
        rows = load_hub(source, name)
        found[name] = [[row.place, *row.cells.values()] for row in rows]
    except UserError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def hub():
    with Hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def found(hub, tmp_path_factory):
    """Rows of the split `test` of each dataset, as place and cells, or the message; loaded by one process."""
    commits = {name: hub.add(f"toys/{name}", files) for name, files in DATASETS.items()}
    hub.failures[f"/api/datasets/toys/shaky/tree/{commits['shaky']}"] = [500]
    hub.failures[f"/datasets/toys/shaky/resolve/{commits['shaky']}/test.csv"] = [429]
    command = [sys.executable, "-c", LOAD, json.dumps(commits)]
    done = subprocess.run(command, env=hub.environment(tmp_path_factory.mktemp("home")), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("columns", [["test.csv, line 2", "one"]]),
        ("missing", [[f"test.csv, line {i}", word] for i, word in enumerate(("N/A", "null", "None", "nan"), 2)]),
        ("text", [["test.txt, line 1", "one"], ["test.txt, line 3", "two"]]),
        ("tabs", [["test.tsv, line 2", "one, two", "x"]]),
        ("lines", [["test.json, line 1", "one"], ["test.json, line 3", "two"]]),
        ("list", [["test.json, row 1", "one"]]),
        ("packed", [["test.jsonl.gz, line 1", "one"], ["test.jsonl.gz, line 3", "two"]]),
        ("parts", [[f"data/test-0000{i}-of-00002.csv, line 2", str(i)] for i in range(2)]),
    ],
)
def test_files_of_the_hub_are_read_as_files_from_elsewhere(found, name, rows):
    assert found[name] == rows


def test_of_another_split_nothing_is_fetched(found, hub):
    asked = [request for request in hub.requests if "/columns/resolve/" in request]
    assert asked and all(request.endswith("/test.csv") for request in asked)


def test_a_passing_fault_of_the_hub_is_waited_out(found):
    assert found["shaky"] == [["test.csv, line 2", "one"]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("script", ["script.py", "refs%2Fconvert%2Fparquet", "kind: url"]),
        ("skipping", ["asks for skiprows", "kind: url"]),
        ("arrow", [".arrow", "test.arrow", "refs/convert/parquet"]),
    ],
)
def test_what_no_reader_here_is_for_is_told_with_a_way_out(found, name, words):
    assert all(word in found[name] for word in words), found[name]


def answered(status: int) -> errors.HfHubHTTPError:
    request = httpx2.Request("GET", "https://huggingface.co/x")
    return errors.HfHubHTTPError("no", response=httpx2.Response(status, request=request))


def wrapped(cause: Exception) -> Exception:
    """As the Hub's client does when it looks into its cache after all."""
    error = errors.LocalEntryNotFoundError("An error happened while trying to locate the files on the Hub")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("wrap", [lambda error: error, wrapped])
@pytest.mark.parametrize(
    ("error", "found", "hint"),
    [
        (answered(429), "no more requests for now (HTTP 429)", "set HF_TOKEN"),
        (answered(503), "a fault of its own (HTTP 503)", "start again later"),
        (answered(403), "refuses this (HTTP 403)", "HF_TOKEN"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device", "HF_HOME names the folder"),
        (RuntimeError("Data processing error: (os error 28)"), "no space left on device", "make room"),
        (OSError(errno.EMFILE, "Too many open files"), "too many open files", "start again"),
        (httpx2.ConnectError("Name or service not known"), "no connection to the Hub: Name or", "HF_HUB_OFFLINE"),
        (errors.OfflineModeIsEnabled("offline"), "no connection to the Hub", "HF_HUB_OFFLINE"),
    ],
)
def test_the_cause_is_told_and_not_the_name_of_the_error(monkeypatch, wrap, error, found, hint):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(UserError) as told, hub_errors("model", "toys/x", "0" * 40, "WHERE"):
        raise wrap(error)
    assert found in told.value.found and hint in told.value.hint and "WHERE" in told.value.where
    assert ("no connection" in told.value.found) == ("no connection" in found)
