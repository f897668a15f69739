"""The real fetch script against a loopback Hub and loopback raw files."""

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hub import TOKEN, Hub

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.datasets import DatasetSpec
from safety_regions.data.download import download, mirrored
from safety_regions.errors import UserError
from safety_regions.planning.recipes.data import dataset_recipe

SCRIPT = Path(__file__).parents[2] / "scripts" / "fetch_dataset.py"
CARD = b"""---
configs:
- config_name: one
  data_files: [{split: alpha, path: a.csv}]
- config_name: two
  data_files: [{split: beta, path: b.csv}]
---
"""
CSV = b"q,label\nfirst,x\nsecond,y\nthird,x\n"
ROWS = ["first", "second", "third"]


class Client:
    """Runs the script against a Hub with a cache of its own."""

    def __init__(self, hub: Hub, folder: Path):
        self.hub, self.folder, self.output = hub, folder, folder / "rows.jsonl"
        self.old = hub.add("toys/plain", {"README.md": CARD, "a.csv": CSV, "b.csv": b"q\nz\n"})
        self.new = hub.add("toys/plain", {"README.md": CARD, "a.csv": b"q,label\nnewer,x\n", "b.csv": b"q\nz\n"})
        self.source = {"kind": "hub", "id": "toys/plain", "revision": self.old, "config": "one", "split": "alpha"}

    def fetch(
        self,
        source: dict,
        home: str = "home",
        offline: bool = False,
        env: dict | None = None,
        sha256: str | None = None,
        **options,
    ) -> subprocess.CompletedProcess:
        self.output.unlink(missing_ok=True)
        spec = DatasetSpec.model_validate(
            {"source": source, "prompt": "q", "licence": "CC0", "citation": "us", **options}
        )
        self.recipe = replace(dataset_recipe("toy", spec), **({"sha256": sha256} if sha256 else {}))
        more = {**({"HF_HUB_OFFLINE": "1"} if offline else {}), **(env or {})}
        command = [
            sys.executable,
            str(SCRIPT),
            "--recipe",
            json.dumps(self.recipe.as_json()),
            "--licence",
            "CC0",
            "--citation",
            "us",
            "--output",
            str(self.output),
        ]
        command += ["--local", source["path"]] if source["kind"] == "local" else []
        return subprocess.run(
            command, env=self.hub.environment(self.folder / home, **more), capture_output=True, text=True
        )

    def prompts(self, *arguments, **options) -> list[str]:
        done = self.fetch(*arguments, **options)
        assert done.returncode == 0, done.stderr
        receipts.check(self.output, self.recipe.digest)
        return [row["prompt"] for row in files.read_jsonl(self.output)]

    def error(self, *arguments, **options) -> str:
        done = self.fetch(*arguments, **options)
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr and "dataset toy" in done.stderr
        assert not self.output.exists()
        return done.stderr


@pytest.fixture(scope="module")
def hub():
    with Hub() as hub:
        yield hub


@pytest.fixture
def client(hub, tmp_path):
    return Client(hub, tmp_path)


def test_the_pinned_commit_is_fetched_online_and_then_offline(client):
    assert client.prompts(client.source) == ROWS
    facts = receipts.read(client.output).facts
    assert (facts["commit"], facts["licence"], facts["citation"]) == (client.old, "CC0", "us")
    assert client.prompts({**client.source, "revision": client.new}) == ["newer"]
    n_requests = len(client.hub.requests)
    assert client.prompts(client.source, offline=True) == ROWS
    assert len(client.hub.requests) == n_requests
    assert "no connection to the Hub" in client.error({**client.source, "config": "two", "split": "beta"}, offline=True)


def test_a_cold_cache_offline_says_so(client):
    error = client.error(client.source, offline=True)
    assert "not in the cache" in error and "HF_HUB_OFFLINE" in error


def test_an_unknown_commit_is_never_replaced_by_a_cached_one(client):
    assert client.prompts(client.source) == ROWS
    assert f"no commit {'0' * 40}" in client.error({**client.source, "revision": "0" * 40})


def test_unknown_configurations_and_splits_are_answered_with_the_known_ones(client):
    error = client.error({**client.source, "config": "tow"})
    assert "no configuration 'tow'" in error and "one of: one, two" in error and "did you mean 'two'?" in error
    error = client.error({**client.source, "split": "alhpa"})
    assert "no split 'alhpa'" in error and "did you mean 'alpha'?" in error


def test_a_folder_of_a_repository_is_fetched_online_and_then_offline(client):
    files = {
        "README.md": b"---\nlicense: mit\n---\n",
        "in/test.jsonl": b'{"q": "inside"}\n',
        "out/test.jsonl": b'{"q": "outside"}\n',
    }
    source = {
        "kind": "hub",
        "id": "toys/folders",
        "revision": client.hub.add("toys/folders", files),
        "data_dir": "in",
        "split": "test",
    }
    assert client.prompts(source) == ["inside"]
    assert client.prompts(source, offline=True) == ["inside"]
    assert "no data files in nowhere" in client.error({**source, "data_dir": "nowhere"})


def test_a_gated_dataset_needs_the_token_and_never_shows_it(client):
    sha = client.hub.add("toys/gated", {"README.md": b"---\nlicense: mit\n---\n", "a.csv": CSV}, gated=True)
    source = {"kind": "hub", "id": "toys/gated", "revision": sha, "split": "train"}
    error = client.error(source)
    assert "gated" in error and "HF_TOKEN" in error and "huggingface.co/datasets/toys/gated" in error
    assert client.prompts(source, env={"HF_TOKEN": TOKEN}) == ROWS
    assert TOKEN not in receipts.receipt_path(client.output).read_text()


def raw(client: Client, path: str, data: bytes, failures: list[int] | None = None) -> dict:
    url = client.hub.add_raw(path, data, failures)
    return {"kind": "url", "url": url, "sha256": hashlib.sha256(data).hexdigest(), "format": "csv"}


def test_a_raw_file_is_filtered_and_its_dropped_rows_counted(client):
    assert client.prompts(raw(client, "ok.csv", CSV), keep={"label": ["x"]}, rows=2) == ["first", "third"]
    facts = receipts.read(client.output).facts
    assert (facts["n_source_rows"], facts["n_rows"]) == (3, 2)
    assert facts["n_dropped"] == {"keep": 1, "drop": 0, "extract": 0, "drop_words": 0}


def test_the_bytes_of_a_fetch_are_the_same_twice(client):
    source = raw(client, "twice.csv", CSV)
    files = (client.output, receipts.receipt_path(client.output))
    contents = []
    for _ in range(2):
        client.prompts(source)
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]


def test_a_wrong_sha256_is_found_before_the_file_is_parsed(client):
    source = raw(client, "changed.csv", CSV)
    broken = b'q\n"never closed\n'
    client.hub.add_raw("changed.csv", broken)
    error = client.error(source)
    assert hashlib.sha256(broken).hexdigest() in error and f"expected: sha256 {source['sha256']}" in error


def test_a_missing_column_names_address_line_and_columns(client):
    source = raw(client, "column.csv", CSV)
    error = client.error(source, prompt="lable")
    assert f"{source['url']}, line 2" in error and "one of: q, label" in error and "did you mean 'label'?" in error


def test_another_number_of_rows_than_stated_stops_the_run(client):
    error = client.error(raw(client, "rows.csv", CSV), rows=4)
    assert "3 rows after the filters (of 3)" in error and "expected: 4 rows" in error


def test_a_mirror_takes_the_place_of_the_start_of_the_url(client):
    source = raw(client, "mirror.csv", CSV)
    far = {**source, "url": "https://unreachable.invalid/mirror.csv"}
    assert (
        client.prompts(
            far,
            env={
                "SAFETY_REGIONS_MIRROR": f"https://x=https://y https://unreachable.invalid/={client.hub.endpoint}/raw/"
            },
        )
        == ROWS
    )
    assert "PREFIX=REPLACEMENT" in (error := client.fetch(far, env={"SAFETY_REGIONS_MIRROR": "nonsense"})).stderr
    assert error.returncode == 1


def test_a_local_file_must_be_the_one_that_was_planned(client):
    path = client.folder / "mine.csv"
    path.write_bytes(CSV)
    source = {"kind": "local", "path": str(path), "format": "csv"}
    assert client.prompts(source) == ROWS
    error = client.error(source, sha256="0" * 64)
    assert "changed since the run was planned" in error
    path.unlink()
    error = client.error(source | {"sha256": "0" * 64})
    assert f"bring the file with sha256 {'0' * 64}" in error and "name another source of this set" in error


def test_a_recipe_that_is_no_spec_is_refused_without_a_traceback(client):
    broken = {
        "kind": "dataset",
        "version": VERSIONS["dataset"],
        "dataset": "toy",
        "spec": {"source": {"kind": "synthetic", "name": "syn_spy"}, "sauce": {}},
    }
    command = [
        sys.executable,
        str(SCRIPT),
        "--recipe",
        json.dumps(broken),
        "--licence",
        "x",
        "--citation",
        "x",
        "--output",
        str(client.output),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "sauce" in done.stderr and "Traceback" not in done.stderr


def test_transient_faults_are_retried_and_others_are_not(hub):
    url = hub.add_raw("flaky", b"data", failures=[503, 429])
    assert download(url, pause=0.01) == b"data"
    url = hub.add_raw("down", b"data", failures=[503] * 9)
    with pytest.raises(UserError, match=r"HTTP 503 \(3 attempts\)"):
        download(url, attempts=3, pause=0.01)
    before = len(hub.requests)
    with pytest.raises(UserError, match="HTTP 404"):
        download(f"{hub.endpoint}/raw/nowhere", pause=0.01)
    assert len(hub.requests) == before + 1


def test_a_closed_port_is_retried_and_then_explained():
    started = time.monotonic()
    with pytest.raises(UserError, match="SAFETY_REGIONS_MIRROR"):
        download("http://127.0.0.1:9/x", attempts=3, pause=0.05)
    assert time.monotonic() - started >= 0.15


def test_a_file_above_the_limit_is_not_taken_in(hub):
    url = hub.add_raw("large", b"x" * 1000)
    with pytest.raises(UserError, match="more than 999 bytes"):
        download(url, max_bytes=999)
    assert len(download(url, max_bytes=1000)) == 1000


def test_the_first_mirror_that_fits_is_taken():
    assert mirrored("https://a/b/c", "") == "https://a/b/c"
    assert mirrored("https://a/b/c", "https://z/=http://no/ https://a/b=http://m  https://a=http://n") == "http://m/c"
