"""A loopback Hub for tests: enough of the Hugging Face Hub's API for `datasets` and `huggingface_hub`, and raw files.

    with Hub() as hub:
        commit = hub.add("org/name", {"data.csv": b"..."})          # a dataset; kind="models" for a model
        url = hub.add_raw("org/repo/file.csv", b"...", failures=[503])
        subprocess.run([...], env=hub.environment(tmp_path))

The libraries read HF_ENDPOINT and HF_HOME when they are imported, so a client belongs in a process of its own.
"""

import hashlib
import json
import os
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_loopback_token"
DATE = "2024-01-01T00:00:00.000Z"


@dataclass
class Commit:
    """The files of a repository at one commit."""

    sha: str
    files: dict[str, bytes]


@dataclass
class Repo:
    """A repository; its newest commit is `main`."""

    id: str
    gated: bool = False
    commits: list[Commit] = field(default_factory=list)

    def at(self, revision: str) -> Commit | None:
        if revision in ("main", "refs/heads/main"):
            return self.commits[-1]
        return next((commit for commit in self.commits if commit.sha == revision), None)


@dataclass
class Reply:
    """What goes back to the client."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200) -> "Reply":
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    @classmethod
    def error(cls, status: int, code: str, **headers: str) -> "Reply":
        reply = cls.json({"error": code}, status)
        reply.headers |= {"X-Error-Code": code, "X-Error-Message": code, **headers}
        return reply


class Hub:
    """A server on 127.0.0.1 that lives as long as its `with` block."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.raw: dict[str, bytes] = {}
        self.failures: dict[str, list[int]] = {}
        """Statuses of the next answers, by path."""
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Hub":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(
        self, id: str, files: dict[str, bytes], *, kind: str = "datasets", sha: str | None = None, gated: bool = False
    ) -> str:
        """Add a commit (to a repository that is made if it is new); its id, which the content decides unless given."""
        sha = sha or hashlib.sha1(json.dumps(sorted((n, blob_id(b)) for n, b in files.items())).encode()).hexdigest()
        repo = self.repos.setdefault((kind, id), Repo(id))
        repo.gated = gated
        repo.commits.append(Commit(sha, files))
        return sha

    def add_raw(self, path: str, data: bytes, failures: list[int] | None = None) -> str:
        """Serve a plain file; the first answers have the statuses `failures`. Returns its address."""
        self.raw[f"/raw/{path}"] = data
        self.failures[f"/raw/{path}"] = list(failures or [])
        return f"{self.endpoint}/raw/{path}"

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """The environment of a client process with its own cache below `home`."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "SAFETY_REGIONS"))}
        own = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
        }
        return {**kept, **own, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1", **more}

    def reply(self, path: str, query: dict[str, list[str]], body: bytes, token: str | None) -> Reply:
        """The answer to one request."""
        if failures := self.failures.get(path):
            return Reply(failures.pop(0), b"")
        if path in self.raw:
            return Reply(200, self.raw[path])
        if match := re.fullmatch(
            r"/api/(datasets|models)/([^/]+/[^/]+)(?:/(revision|tree|paths-info|refs)(?:/([^/]+)(?:/(.*))?)?)?", path
        ):
            kind, id, verb, revision, rest = match.groups()
        elif match := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/(resolve)/([^/]+)/(.+)", path):
            kind, id, verb, revision, rest = match.groups()
            kind = "datasets" if kind else "models"
        else:
            return Reply.json({"error": f"no route {path}"}, 404)
        repo = self.repos.get((kind, id))
        if repo is None:
            return Reply.error(404 if token else 401, "RepoNotFound")
        if verb == "resolve" and repo.gated and token != TOKEN:
            return Reply.error(403 if token else 401, "GatedRepo")
        commit = repo.at(unquote(revision or "main"))
        if commit is None:
            return Reply.error(404, "RevisionNotFound")
        return _answer(repo, commit, verb or "revision", unquote(rest or ""), query, body)


def blob_id(data: bytes) -> str:
    """The git id of a file, which the Hub calls oid."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _answer(repo: Repo, commit: Commit, verb: str, path: str, query: dict[str, list[str]], body: bytes) -> Reply:
    if verb == "resolve":
        return _file(commit, path)
    if verb == "refs":
        return Reply.json(
            {
                "branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commits[-1].sha}],
                "tags": [],
                "converts": [],
            }
        )
    if verb == "tree":
        recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
        entries = _tree(commit, path.strip("/"), recursive)
        return Reply.json(entries) if entries else Reply.error(404, "EntryNotFound")
    if verb == "paths-info":
        return Reply.json([_entry(commit, p) for p in _wanted(body) if p in commit.files or _below(commit, p)])
    return Reply.json(_info(repo, commit))


def _file(commit: Commit, path: str) -> Reply:
    if path not in commit.files:
        return Reply.error(404, "EntryNotFound", **{"X-Repo-Commit": commit.sha})
    data = commit.files[path]
    headers = {"ETag": f'"{blob_id(data)}"', "X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes"}
    return Reply(200, data, headers)


def _info(repo: Repo, commit: Commit) -> dict:
    return {
        "_id": commit.sha[:24],
        "id": repo.id,
        "author": repo.id.split("/")[0],
        "sha": commit.sha,
        "private": False,
        "gated": "auto" if repo.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "lastModified": DATE,
        "createdAt": DATE,
        "siblings": [{"rfilename": name} for name in sorted(commit.files)],
    }


def _entry(commit: Commit, path: str) -> dict:
    last = {"id": commit.sha, "title": "loopback", "date": DATE}
    if path in commit.files:
        data = commit.files[path]
        return {"type": "file", "path": path, "size": len(data), "oid": blob_id(data), "lastCommit": last}
    return {"type": "directory", "path": path, "size": 0, "oid": blob_id(path.encode()), "lastCommit": last}


def _below(commit: Commit, folder: str) -> list[str]:
    return sorted(name for name in commit.files if not folder or name.startswith(folder + "/"))


def _tree(commit: Commit, folder: str, recursive: bool) -> list[dict]:
    paths = set()
    for name in _below(commit, folder):
        steps = name.removeprefix(folder + "/" if folder else "").split("/")
        depth = len(steps) if recursive else 1
        paths |= {"/".join([*([folder] if folder else []), *steps[: i + 1]]) for i in range(depth)}
    return [_entry(commit, path) for path in sorted(paths)]


def _wanted(body: bytes) -> list[str]:
    try:
        paths = json.loads(body)["paths"]
    except ValueError:
        paths = parse_qs(body.decode()).get("paths", [])
    return [path.strip("/") for path in ([paths] if isinstance(paths, str) else paths)]


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            hub.requests.append(f"{self.command} {url.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            self._send(hub.reply(url.path, parse_qs(url.query), body, token))

        do_HEAD = do_POST = do_GET

        def _send(self, reply: Reply) -> None:
            data, headers, status = reply.body, dict(reply.headers), reply.status
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            if asked and data and status == 200:
                first, last = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                data, status = data[first : last + 1], 206
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Tests read `hub.requests` instead."""

    return Handler
