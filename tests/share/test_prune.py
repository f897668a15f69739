"""Pruning: only what no configuration refers to, and nothing that could not be had again unless it is asked for by
name.
"""

import argparse
import shutil
from pathlib import Path

import pytest
from pipeline import new_working_copy
from sharing import Project, commit, git, make

from safety_regions.artifacts.artifact import Artifact
from safety_regions.commands import prune as command
from safety_regions.errors import UserError
from safety_regions.share import prune
from safety_regions.share.prune import certain, delete, kept_keys, leftovers, run_configs, stage_removed
from safety_regions.share.pull import pull


def all_but(project: Project, *names: str) -> set[str]:
    """The keys of a plan without some artifacts."""
    return {artifact.key for name, artifact in project.artifacts.items() if name not in names}


def told(project: Project, capsys: pytest.CaptureFixture[str], gone: list[str], *options: str) -> str:
    """What the command prints, when the configuration refers to all but some."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "kept_keys", lambda configs: all_but(project, *gone))
        command.run(parser.parse_args(options))
    return capsys.readouterr().out


def beside(artifact: Artifact) -> list[Path]:
    return [Path(artifact.path + ending) for ending in ("", ".receipt.json", ".run.json", ".dvc")]


def test_a_list_removes_nothing(published, capsys):
    text = told(published, capsys, ["b", "table", "report"])
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("results/")}
    artifacts = published.artifacts
    assert {path: words[-1] for path, words in lines.items()} == {
        artifacts["b"].path: "yes",
        artifacts["table"].path: "yes",
        artifacts["report"].path: "no",
    }
    assert lines[artifacts["b"].path][:2] == [str(Path(artifacts["b"].path).stat().st_size), "B"]
    assert git("status", "--porcelain") == "" and all(a.exists() for a in artifacts.values())
    assert "Nothing to prune" in told(published, capsys, [])


def test_what_is_published_is_removed_on_request_and_can_be_had_again(published, capsys):
    artifacts = published.artifacts
    text = told(published, capsys, ["b", "tiny", "table", "report", "hub"], "--delete")
    assert "Removed 3 artifacts" in text and "git commit" in text and "dvc gc" in text
    for name in ("b", "tiny", "table"):
        assert not any(path.exists() for path in beside(artifacts[name]))
    assert all(artifacts[name].exists() for name in ("rows", "a", "report", "hub"))
    assert {line[:2] for line in git("status", "--porcelain").splitlines()} == {"D "}
    commit()
    git("checkout", "HEAD~1", "--", "results")
    pull([artifacts[name].path for name in ("b", "tiny")])
    assert all(artifact.exists() for artifact in artifacts.values())


def test_what_is_not_published_is_removed_only_if_that_is_said(project, capsys):
    artifacts = project.artifacts
    text = told(project, capsys, ["b", "tiny", "table"], "--delete")
    assert "Removed 0" in text and all(artifact.exists() for artifact in artifacts.values())
    assert "Removed 3" in told(project, capsys, ["b", "tiny", "table"], "--delete", "--unpublished")
    assert {name for name, artifact in artifacts.items() if artifact.exists()} == {"rows", "a", "hub", "report"}
    with pytest.raises(UserError, match="--unpublished without --delete"):
        told(project, capsys, ["a"], "--unpublished")


def not_committed(project: Project) -> None:
    git("reset", "--quiet", "--soft", "HEAD~1")


def pointer_edited(project: Project) -> None:
    pointer = Path(project.artifacts["b"].pointer)
    pointer.write_text(pointer.read_text() + "\n")


def made_again(project: Project) -> None:
    make(project.artifacts["b"], b"better bytes")
    # As if the same receipt had been committed.
    git("add", "results")
    commit()


def altered(project: Project) -> None:
    Path(project.artifacts["b"].path).write_bytes(b"edited")


def file_added(project: Project) -> None:
    Path(project.artifacts["tiny"].path, "mine").write_text("?")


def table_edited(project: Project) -> None:
    Path(project.artifacts["table"].path, "pairs.parquet").write_text("?")


def file_added_to_table(project: Project) -> None:
    Path(project.artifacts["table"].path, ".mine").write_text("?")


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("b", not_committed),
        ("b", pointer_edited),
        ("b", made_again),
        ("b", altered),
        ("tiny", file_added),
        ("table", table_edited),
        ("table", file_added_to_table),
    ],
)
def test_what_git_or_the_bytes_do_not_vouch_for_is_not_published(published, name, act):
    act(published)
    (one,) = certain(leftovers(all_but(published, name)))
    assert one.path == published.artifacts[name].path and not one.published


def test_what_the_remote_lacks_is_not_published_and_the_rest_is(published):
    published.object(published.md5("a")).unlink()
    found = {one.path: one.published for one in certain(leftovers(all_but(published, "a", "b")))}
    assert found == {published.artifacts["a"].path: False, published.artifacts["b"].path: True}


def test_a_killed_call_is_finished_by_the_next(published, monkeypatch):
    """Killed in the middle of a folder, and behind the last file, before it was staged."""
    tiny, kept = published.artifacts["tiny"], all_but(published, "tiny", "a")
    delete([one for one in leftovers(kept) if one.path != tiny.path])
    Path(tiny.path, "weights").unlink()
    (one,) = certain(leftovers(kept))
    assert one.published
    shutil.rmtree(tiny.path)
    Path(tiny.receipt).unlink()
    # Where nothing is left but a pointer that git has, no remote need be asked.
    monkeypatch.setattr(prune, "look", None)
    (one,) = certain(leftovers(kept))
    assert one.published
    delete([one])
    gone = stage_removed(kept)
    assert len(gone) == 6 and {line[:2] for line in git("status", "--porcelain").splitlines()} == {"D "}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(new_working_copy(tmp_path / "copy").folder)


def test_all_runs_of_the_folder_are_kept_and_registries_are_none(folder):
    names = {file.name for file in run_configs()}
    assert {"demo.yaml", "small.yaml", "micro.yaml"} <= names
    assert not names & {"datasets.yaml", "models.yaml", "micro_datasets.yaml", "micro_models.yaml"}
    micro, demo = kept_keys([Path("config/micro.yaml")]), kept_keys([Path("config/demo.yaml")])
    assert (
        kept_keys([Path("config/micro.yaml"), Path("config/demo.yaml")]) == micro | demo
        and micro - demo
        and demo - micro
    )


@pytest.mark.parametrize("text", ["models: [unknown]", "modles: []", "models: ["])
def test_a_configuration_without_a_plan_stops_all(folder, text):
    Path("config/broken.yaml").write_text(text)
    with pytest.raises(UserError, match=r"(?s)nothing is pruned: config/broken\.yaml.*--keep"):
        kept_keys(run_configs())
