"""Small projects with real git and DVC, and a run of made-up artifacts to publish and pull."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from some_recipes import some_recipe

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.registries import Registries
from safety_regions.config.run import RunConfig
from safety_regions.planning.plan import Plan
from safety_regions.share.pointers import read_pointer
from safety_regions.share.publish import Published, publish

ROOT = Path(__file__).resolve().parents[2]
REMOTE = "    remote = store\n['remote \"store\"']\n    url = ../../remote\n    verify = true\n"


def run() -> dict[str, Artifact]:
    """Artifacts of each home: bytes (file and folder), a table, a model that is taken from where it is pinned, the
    report.
    """
    rows = Artifact(some_recipe("dataset"), "rows")
    tiny = Artifact(some_recipe("model"), "tiny", {"rows": rows})
    hub = Artifact(some_recipe("model", source={"kind": "hub"}), "hub")
    made = {"rows": rows, "tiny": tiny, "hub": hub}
    for name, model in (("a", tiny), ("b", hub)):
        recipe = some_recipe("region", options={"name": name})
        made[name] = Artifact(recipe, f"tiny/snip/{name}", {"model": model})
    regions = {name: made[name] for name in "ab"}
    made["table"] = Artifact(some_recipe("overlap"), "tiny.snip", regions)
    made["report"] = Artifact(some_recipe("report"), "own", {"table": made["table"]})
    return made


def plan_of(artifacts: dict[str, Artifact]) -> Plan:
    """The plan of a run called `own`."""
    made = {artifact.key: artifact for artifact in artifacts.values()}
    return Plan(RunConfig(name="own"), Registries({}, {}), made=made, targets=[artifacts["report"]])


def make(artifact: Artifact, content: bytes = b"") -> None:
    """Put bytes and a receipt where an artifact goes; the bytes are of its path if not given."""
    content = content or artifact.path.encode()
    names = {artifact.suffix[1:], "weights"} if artifact.suffix.startswith("/") else {""}
    for name in names:
        path = Path(artifact.path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content + name.encode())
    receipts.write(artifact.path, artifact.recipe.as_json(), {})


def git(*words: str) -> str:
    """Run git here; it must succeed."""
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout


def commit() -> None:
    git("commit", "-m", "results")


KILLED_DVC = """
import os, sys
from dvc.cli import main
from dvc_data.index import DataIndex
DataIndex.commit = lambda index: os._exit(9)
main(sys.argv[1:])
"""


def killed_at_its_index(*words: str) -> None:
    """A DVC command that is killed where it has written its index of what pointers name, all but the last of it."""
    assert subprocess.run([sys.executable, "-c", KILLED_DVC, *words]).returncode == 9


@dataclass(frozen=True)
class Project:
    """A folder with git, DVC and results; its remote lies beside it."""

    folder: Path
    artifacts: dict[str, Artifact]

    @property
    def plan(self) -> Plan:
        """As files are now."""
        return plan_of(self.artifacts)

    def object(self, digest: str, store: str = "../remote") -> Path:
        """An object of DVC's remote, or of another store."""
        return Path(store, "files/md5", digest[:2], digest[2:])

    def cached(self, digest: str) -> Path:
        """An object of DVC's cache."""
        return self.object(digest, ".dvc/cache")

    def md5(self, name: str) -> str:
        """Of an artifact's pointer."""
        return read_pointer(self.artifacts[name].pointer).md5

    def copy_to(self, folder: Path) -> "Project":
        """The same with its own remote, in a new folder."""
        shutil.copytree(self.folder.parent, folder, symlinks=True)
        return Project(folder / self.folder.name, dict(self.artifacts))

    def clone(self) -> "Project":
        """What a colleague has after `git clone`, beside the original."""
        folder = self.folder.with_name("clone")
        git("clone", "--quiet", str(self.folder), str(folder))
        return Project(folder, dict(self.artifacts))


def new_project(folder: Path) -> Project:
    """A project with everything made and nothing published."""
    folder.mkdir(parents=True)
    with contextlib.chdir(folder):
        for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
            Path(name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, name)
        with open(".dvc/config", "a") as config:
            config.write(REMOTE)
        git("init", "--quiet", "--initial-branch=main")
        git("add", ".")
        commit()
        artifacts = run()
        for artifact in artifacts.values():
            make(artifact)
    return Project(folder, artifacts)


@contextlib.contextmanager
def own_settings(folder: Path) -> Iterator[None]:
    """git and DVC without the settings and memories of this machine."""
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
    }
    places = {"DVC_SITE_CACHE_DIR": "site", "DVC_GLOBAL_CONFIG_DIR": "global", "DVC_SYSTEM_CONFIG_DIR": "system"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in who.items():
            patch.setenv(name, value)
        for name, place in places.items():
            patch.setenv(name, str(folder / place))
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        yield


@pytest.fixture(scope="session")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Published]:
    """A project after its first publish, staged and not committed, and what publish said. Only to be copied."""
    base = tmp_path_factory.mktemp("published")
    with own_settings(base):
        project = new_project(base / "all/project")
        with contextlib.chdir(project.folder):
            return project, publish(project.plan)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[None]:
    with own_settings(tmp_path / "settings"):
        yield


@pytest.fixture
def project(settings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with everything made and nothing published; the working folder is in it."""
    project = new_project(tmp_path / "all/project")
    monkeypatch.chdir(project.folder)
    return project


@pytest.fixture
def staged(
    settings: None, published_once: tuple[Project, Published], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """A copy of a project that is published and not committed; the working folder is in it."""
    project = published_once[0].copy_to(tmp_path / "all")
    monkeypatch.chdir(project.folder)
    return project


@pytest.fixture
def published(staged: Project) -> Project:
    """A copy of a project that is published and committed; the working folder is in it."""
    commit()
    return staged


@pytest.fixture
def clone(published: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """What a colleague has after `git clone`; the working folder is in it."""
    clone = published.clone()
    monkeypatch.chdir(clone.folder)
    return clone
