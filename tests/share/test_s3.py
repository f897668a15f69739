"""Publish and pull through a server that speaks S3, on this machine."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from planted import PLANTED, files_with_secrets, secrets_in
from sharing import Project, commit, git

from safety_regions.errors import UserError
from safety_regions.share.publish import publish
from safety_regions.share.pull import needed, pull

SERVER = "import sys, moto.server; moto.server.main(sys.argv[1:])"


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a running server with one empty bucket, `bucket`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # This server takes any.
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with (tmp_path / "moto.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _create_bucket(address)
        yield address
    finally:
        server.terminate()
        server.wait()


def _create_bucket(address: str) -> None:
    request = urllib.request.Request(f"{address}/bucket", method="PUT")
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=5).close()
            return
        assert time.monotonic() < end, "the server did not start"
        time.sleep(0.2)


def test_a_run_is_published_to_s3_and_pulled_from_it(project: Project, endpoint: str, monkeypatch: pytest.MonkeyPatch):
    config = Path(".dvc/config")
    config.write_text(
        config.read_text().replace("url = ../../remote", f"url = s3://bucket/store\n    endpointurl = {endpoint}")
    )
    git("add", ".dvc/config")
    done = publish(project.plan)
    assert {a.path for a in done.new} == {project.artifacts[name].path for name in ("rows", "tiny", "a", "b")}
    commit()
    assert publish(project.plan).new == []
    clone = project.clone()
    monkeypatch.chdir(clone.folder)
    pull(needed(clone.plan, True))
    for name in ("rows", "a", "b"):
        path = project.artifacts[name].path
        assert Path(path).read_bytes() == (project.folder / path).read_bytes()
    assert files_with_secrets(project.folder.parent) == {}


def test_what_s3_refuses_is_told_without_the_credentials(
    project: Project, endpoint: str, monkeypatch: pytest.MonkeyPatch
):
    """A bucket that is not there is all that this server refuses."""
    config = Path(".dvc/config")
    config.write_text(
        config.read_text().replace("url = ../../remote", f"url = s3://elsewhere/store\n    endpointurl = {endpoint}")
    )
    git("add", ".dvc/config")
    with pytest.raises(UserError) as error:
        publish(project.plan)
    assert "bucket" in str(error.value).lower()
    assert secrets_in(str(error.value).encode()) == []
    assert files_with_secrets(project.folder.parent) == {}
