"""Verifying: every state has its name, its remedy, and the exit code that goes with it."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from other_code import set_code
from sharing import Project, git, make
from some_recipes import some_recipe

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.code_history import history
from safety_regions.commands import verify as command
from safety_regions.errors import UserError
from safety_regions.share.content import contents
from safety_regions.share.findings import artifacts_below, remedy
from safety_regions.share.verify import verify

STORED = ["rows", "tiny", "a", "b"]


def states(remote: bool = False) -> dict[str, str]:
    return {one.finding.path: one.finding.state for one in verify(remote=remote)}


def told(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    code = command.run(parser.parse_args(options))
    return code, capsys.readouterr().out


def test_all_is_well_after_publishing_and_in_a_fresh_clone(published, capsys, monkeypatch):
    assert set(states().values()) == {"ok"} and len(states()) == len(published.artifacts)
    assert told(capsys)[0] == 0
    clone = published.clone()
    monkeypatch.chdir(clone.folder)
    found = states()
    assert {name: found[clone.artifacts[name].path] for name in [*STORED, "hub", "table"]} == {
        **dict.fromkeys(STORED, "not pulled"),
        "hub": "at its source",
        "table": "ok",
    }
    code, text = told(capsys)
    assert code == 0 and "what to do" not in text
    assert {tuple(line.split()) for line in text.splitlines()} >= {
        ("region", "0", "0", "2", "2"),
        ("overlap", "1", "0", "0", "1"),
    }


def test_what_is_named_is_looked_at_alone(published, capsys):
    region, table = (published.artifacts[name] for name in ("a", "table"))
    folder = Path(region.path).parent
    n_beside = sum(Path(a.path).parent == folder for a in published.artifacts.values())
    Path(region.path).chmod(0o644)
    Path(region.path).write_bytes(b"other")
    for words, n, code in (
        ([region.path], 1, 1),
        ([region.receipt, str(Path(region.path).absolute())], 1, 1),
        ([table.path], 1, 0),
        ([str(folder)], n_beside, 1),
        (["results/"], len(published.artifacts), 1),
    ):
        found, text = told(capsys, "--json", *words)
        artifacts = json.loads(text)["artifacts"]
        assert (len(artifacts), found) == (n, code), words
        told_of_each = {"path", "kind", "state", "detail", "published", "changed_code", "remedy"}
        assert all(one.keys() == told_of_each for one in artifacts)
    with pytest.raises(UserError, match="no artifact"):
        told(capsys, "results/regions/nothing.safetensors")


def swap_receipt(project: Project) -> None:
    one, other = project.artifacts["a"], project.artifacts["b"]
    shutil.copy(one.receipt, other.receipt)


def altered(project: Project) -> None:
    Path(project.artifacts["b"].path).write_bytes(b"x")


def new_bytes(project: Project) -> None:
    make(project.artifacts["b"], b"other bytes, and a receipt of them")


def merge_conflict(project: Project) -> None:
    Path(project.artifacts["b"].pointer).write_text("<<<<<<< HEAD\n")


def lose(*endings: str) -> Callable[[Project], None]:
    def act(project: Project) -> None:
        for ending in endings:
            Path(project.artifacts["b"].path + ending).unlink()

    return act


@pytest.mark.parametrize(
    ("damage", "state", "remedy"),
    [
        (altered, "altered", "rm -r {0}; safety-regions pull {0}"),
        (lambda p: Path(p.artifacts["b"].path).write_bytes(b""), "altered", "rm -r {0}; safety-regions pull {0}"),
        (new_bytes, "pointer disagrees", "rm -r {0}; git checkout -- {0}.receipt.json; safety-regions pull {0}"),
        (merge_conflict, "pointer disagrees", "git checkout -- {0}.dvc"),
        (swap_receipt, "foreign", "git checkout -- {0}.receipt.json"),
        (lose(".receipt.json"), "foreign", "git checkout -- {0}.receipt.json"),
        (lose("", ".receipt.json"), "missing", "git checkout -- {0}.receipt.json"),
        (lose("", ".dvc"), "missing", "let who made it publish it"),
        (lose(""), "not pulled", ""),
        (lose(".dvc"), "ok", ""),
    ],
)
def test_each_fault_of_a_file_has_a_name_and_a_remedy(published, capsys, damage, state, remedy):
    path = published.artifacts["b"].path
    damage(published)
    assert states()[path] == state and set(states().values()) <= {state, "ok"}
    code, text = told(capsys)
    assert code == int(bool(remedy)) and remedy.format(path) in text
    code, text = told(capsys, "--json")
    (one,) = (one for one in json.loads(text)["artifacts"] if one["path"] == path)
    assert one["state"] == state and code == int(bool(remedy)) and one["remedy"].startswith(remedy.format(path))


def of_table(act: Callable[[Path], object]) -> Callable[[Project], None]:
    return lambda project: act(Path(project.artifacts["table"].path, "pairs.parquet")) and None


def damage_everywhere(project: Project) -> None:
    """In place, and published by nobody."""
    lose(".dvc")(project)
    altered(project)


@pytest.mark.parametrize(
    ("damage", "way"),
    [
        (altered, 0),
        (new_bytes, 0),
        (merge_conflict, 0),
        (swap_receipt, 0),
        (swap_receipt, 1),
        (lose(".receipt.json"), 0),
        (lose("", ".receipt.json"), 0),
        # The first way is to ask whoever made it.
        (lose("", ".dvc"), 1),
        (damage_everywhere, 0),
        (of_table(lambda file: file.write_text("?")), 0),
        (of_table(lambda file: file.write_text("?")), 1),
        (of_table(Path.unlink), 0),
    ],
)
def test_what_is_said_to_do_mends_it_when_it_is_typed(published, damage, way):
    """Of two ways, either. Snakemake would make what is no longer there."""
    damage(published)
    (bad,) = (one for one in verify() if one.is_bad)
    told = remedy(bad.finding).split("; or ")[way]
    again = told.endswith("; snakemake")
    typed = told.removesuffix("; snakemake").replace("safety-regions ", f"{sys.executable} -m safety_regions ")
    subprocess.run(["bash", "-ec", typed], check=True)
    after = states()
    lost = not Path(bad.finding.path).exists()
    assert set(after.values()) == {"ok"} | ({"not pulled"} if lost and not again else set())
    assert (bad.finding.path in after) != again


@pytest.mark.parametrize(
    ("name", "damage", "detail"),
    [
        ("tiny", lambda path: (path / "weights").unlink(), "weights is missing"),
        ("tiny", lambda path: (path / "more").write_text("?"), "more is not in its receipt"),
        ("table", lambda path: (path / "pairs.parquet").write_text("?"), "pairs.parquet has another sha256"),
    ],
)
def test_folders_are_looked_into(published, name, damage, detail):
    damage(Path(published.artifacts[name].path))
    (bad,) = (one for one in verify() if one.is_bad)
    assert (bad.finding.path, bad.finding.state, bad.finding.detail) == (
        published.artifacts[name].path,
        "altered",
        detail,
    )


def test_what_jobs_leave_is_no_artifact_and_what_people_leave_is_foreign(published):
    before = states()
    for name in ("manifests/a.0123456789ab.1.json", "regions/.x.0123456789ab.tmp", "models/.gitignore"):
        Path("results", name).parent.mkdir(exist_ok=True)
        Path("results", name).write_text("")
    Path(published.artifacts["tiny"].path, ".weights.1.tmp").write_text("")
    assert states() == before
    Path("results/notes.txt").write_text("mine")
    assert states() == before | {"results/notes.txt": "foreign"}


def test_what_is_not_published_is_no_fault_and_is_counted(project, capsys):
    assert not any(one.published for one in verify())
    code, text = told(capsys)
    assert code == 0 and {tuple(line.split()) for line in text.splitlines()} >= {("region", "2", "0")}
    shutil.rmtree(".git")
    assert told(capsys) == (code, text)


def test_an_empty_folder_is_no_fault(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert artifacts_below(Path("results")) == [] and told(capsys)[0] == 0


def test_code_that_changed_since_is_a_warning(project, capsys):
    artifact = Artifact(some_recipe("region"), "coded")
    Path(artifact.path).write_text("bytes")
    receipts.write(artifact.path, artifact.recipe.as_json(), {})
    set_code(artifact.path, files=history().today("files").digest, regions__select="0", gone="0")
    code, text = told(capsys)
    assert code == 0 and "regions.select has changed since 1 artifacts" in text and "safety-regions accept" in text
    assert "gone has changed" in text and "files has" not in text


def test_the_remote_is_asked_on_request(published, capsys):
    tiny = published.artifacts["tiny"].path
    published.object(contents([tiny])[tiny].files["weights"].md5).unlink()
    published.object(published.md5("a")).unlink()
    git("rm", "--quiet", "--cached", published.artifacts["b"].pointer)
    assert set(states().values()) == {"ok"}
    code, text = told(capsys, "--remote", "--json")
    found = {one["path"]: (one["state"], one["published"]) for one in json.loads(text)["artifacts"]}
    assert code == 1 and found[tiny] == ("not in the remote", True) == found[published.artifacts["a"].path]
    assert found[published.artifacts["b"].path] == ("ok", False) and found[published.artifacts["rows"].path] == (
        "ok",
        True,
    )
