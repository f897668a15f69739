"""Secrets of the environment, a token of the Hub and keys of a remote: nothing that a run writes holds them."""

import base64
import gzip
import io
import subprocess
import zipfile
import zlib

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import yaml
from hub import Hub
from pipeline import WorkingCopy, new_working_copy
from planted import PLANTED, files_with_secrets, secrets_in

SECRET = PLANTED["AWS_SECRET_ACCESS_KEY"]


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", SECRET)
    return packed.getvalue()


def pdf() -> bytes:
    written = io.BytesIO()
    figure = plt.figure()
    figure.text(0, 0, "x")
    figure.savefig(written, format="pdf", metadata={"Title": SECRET})
    plt.close(figure)
    return written.getvalue()


FORMS = {
    "text": f"a {SECRET} b".encode(),
    "UTF-16": f"a {SECRET} b".encode("utf-16"),
    "hex": SECRET.encode().hex().encode(),
    **{f"base64 after {n} bytes": base64.b64encode(b"x" * n + SECRET.encode() + b"y" * 5) for n in range(4)},
    "gzip": gzip.compress(SECRET.encode()),
    "zip": zipped(),
    "an object of git": zlib.compress(SECRET.encode()),
    "a stream of a PDF": b"%PDF\nstream\n" + zlib.compress(SECRET.encode()) + b"\nendstream",
    "properties of a PDF": pdf(),
    "Parquet": pd.DataFrame({"a": [SECRET]}).to_parquet(compression="zstd"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_search_finds_a_secret_however_it_is_written(form):
    assert secrets_in(FORMS[form]) == ["AWS_SECRET_ACCESS_KEY"]


def test_the_search_finds_a_secret_in_a_name_and_nothing_where_none_is(tmp_path):
    (tmp_path / "a").write_bytes(b"PAR1"[:2] + b"a" * 1000)
    assert files_with_secrets(tmp_path) == {}
    (tmp_path / SECRET).touch()
    assert list(files_with_secrets(tmp_path).values()) == [["AWS_SECRET_ACCESS_KEY"]]


def test_a_whole_run_writes_no_secret(finished_run: WorkingCopy):
    """All jobs of that run had them in their environment."""
    for kind in (
        "logs/measure/*.log",
        ".snakemake/log/*.log",
        ".snakemake/metadata/*",
        "results/**/*.receipt.json",
        "results/**/*.run.json",
        "results/report/*/report.html",
        "results/report/*/*.pdf",
        "results/overlap/*/*.parquet",
    ):
        assert list(finished_run.folder.glob(kind)), kind
    assert files_with_secrets(finished_run.folder) == {}


def test_a_download_that_fails_writes_no_secret(tmp_path):
    """A dataset whose terms were not accepted, by a run that has a token."""
    copy = new_working_copy(tmp_path / "copy")
    with Hub() as hub:
        gated = hub.add("toys/gated", {"a.csv": b"q\nx\n"}, gated=True)
        source = {"kind": "hub", "id": "toys/gated", "revision": gated, "split": "train"}
        entry = {"source": source, "licence": "none", "citation": "none"}
        (copy.folder / "config/micro_datasets.yaml").write_text(yaml.safe_dump({"own_set": entry}))
        words = copy.command(copy.plan().datasets["own_set"].path)
        environment = hub.environment(tmp_path / "home", PYTHONPATH=copy.environment()["PYTHONPATH"], **PLANTED)
        done = subprocess.run(
            words, cwd=copy.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    assert done.returncode == 1 and "error: this dataset is gated" in done.stdout, done.stdout
    assert any("gated" in request for request in hub.requests)
    assert secrets_in(done.stdout.encode()) == []
    assert list((copy.folder / "logs/fetch_dataset").iterdir())
    assert files_with_secrets(tmp_path) == {}
