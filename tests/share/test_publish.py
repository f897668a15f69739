"""Publishing: what goes where, what is refused; a second call, or one after a kill, does the rest and no more."""

import fcntl
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sharing import Project, git, killed_at_its_index, make
from some_recipes import some_recipe

from safety_regions.artifacts.artifact import Artifact
from safety_regions.errors import UserError
from safety_regions.share.content import contents
from safety_regions.share.publish import publish
from safety_regions.share.pull import pull

STORED = ["rows", "tiny", "a", "b"]


def times() -> dict[str, int]:
    """When each file outside git's and DVC's own folders was last written."""
    files = (path for path in Path().rglob("*") if path.is_file() and path.parts[0] not in (".git", ".dvc"))
    return {str(path): path.stat().st_mtime_ns for path in files}


def paths(artifacts: list[Artifact]) -> set[str]:
    return {artifact.path for artifact in artifacts}


def content_of(artifact: Artifact):
    return contents([artifact.path])[artifact.path]


def test_bytes_go_to_the_remote_and_the_rest_is_staged_and_not_committed(staged, published_once):
    artifacts, done = staged.artifacts, published_once[1]
    assert paths(done.new) == {artifacts[name].path for name in STORED} and not done.unmade and not done.before
    assert git("log", "--format=%s").split() == ["results"], "publish commits nothing"
    expected = {f"figures/own/{name}" for name in ("summary.md", "weights")} | {"figures/own.receipt.json"}
    expected |= {artifacts[name].pointer for name in STORED}
    expected |= {artifacts["table"].path + end for end in ("/pairs.parquet", "/weights")}
    for name in [*STORED, "hub", "table"]:
        expected |= {artifacts[name].receipt, artifacts[name].path + ".run.json"}
    files = set(git("diff", "--cached", "--name-only").split())
    assert files == set(done.staged) and {file for file in files if file.startswith("results/")} | expected == files
    assert "??" not in git("status", "--porcelain", "--untracked-files=all")
    assert not list(Path("results").rglob(".gitignore")), "DVC wrote files of its own"
    for name in STORED:
        content = content_of(artifacts[name])
        assert staged.md5(name) == content.md5
        assert all(staged.object(digest).exists() for digest in content.objects)


def test_a_second_call_does_nothing(published):
    before = times()
    done = publish(published.plan)
    assert (done.new, done.pushed, done.staged) == ([], [], {}) and len(done.before) == len(STORED)
    assert times() == before and git("status", "--porcelain") == ""


def test_what_is_made_after_a_partial_pull_is_added_and_all_else_stays_published(clone):
    artifacts = clone.artifacts
    pull([artifacts["b"].path])
    new, unmade = (Artifact(some_recipe("region", options={"name": n}), n) for n in ("n", "u"))
    make(new)
    artifacts |= {"new": new, "unmade": unmade}
    pointers = {name: Path(artifacts[name].pointer).read_text() for name in STORED}
    done = publish(clone.plan)
    assert paths(done.new) == {new.path} and paths(done.before) == {artifacts["b"].path}
    assert paths(done.elsewhere) == {artifacts[name].path for name in ("rows", "tiny", "a")}
    assert paths(done.unmade) == {unmade.path}
    assert {path: letter for path, letter in done.staged.items() if path.endswith(".dvc")} == {new.pointer: "A"}
    assert {name: Path(artifacts[name].pointer).read_text() for name in STORED} == pointers
    assert all(clone.object(digest).exists() for digest in content_of(new).objects)


def test_a_users_own_rules_of_what_git_ignores_keep_nothing_from_being_published(published, tmp_path, monkeypatch):
    """All files are staged by name; and DVC refuses pointers that git ignores."""
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "git").mkdir()
    (tmp_path / "git/ignore").write_text("results/\nfigures/\n*.json\n*.csv\n*.parquet\nweights\n*.dvc\n")
    artifacts = published.artifacts
    for name, recipe in (("new", some_recipe("region")), ("more", some_recipe("overlap", p=0.2))):
        artifacts[name] = Artifact(recipe, name)
        make(artifacts[name])
    make(artifacts["report"], b"anew")
    done = publish(published.plan)
    assert paths(done.new) == {artifacts["new"].path}
    of_table = {artifacts["more"].path + end for end in ("/pairs.parquet", "/weights", ".receipt.json")}
    of_report = {"figures/own/weights", "figures/own/summary.md", "figures/own.receipt.json"}
    assert of_table | of_report | {artifacts["new"].pointer, artifacts["new"].receipt} <= set(done.staged)
    assert "??" not in git("status", "--porcelain", "--untracked-files=all", "--ignored")


def test_what_a_killed_call_left_is_finished(published):
    """Killed when DVC had written half a pointer; killed after adding, before pushing; and then the cache was lost,
    too.
    """
    artifacts = published.artifacts
    git("rm", "--quiet", "--cached", artifacts["b"].pointer)
    git("commit", "-m", "not yet")
    Path(artifacts["b"].pointer).write_text("outs:\n- md5: 0123\n  si")
    for name in ("a", "tiny"):
        for digest in content_of(artifacts[name]).objects:
            published.object(digest).unlink()
            published.cached(digest).unlink() if name == "tiny" else None
    done = publish(published.plan)
    assert paths(done.pushed) == {artifacts["a"].path, artifacts["tiny"].path}
    assert paths(done.new) == {artifacts["b"].path}
    assert {path: letter for path, letter in done.staged.items() if path.endswith(".dvc")} == {
        artifacts["b"].pointer: "A"
    }
    for name in STORED:
        assert all(published.object(digest).exists() for digest in content_of(artifacts[name]).objects)


def test_what_a_killed_dvc_left_out_of_its_index_is_pushed_too(published):
    shutil.rmtree("../remote/files")
    killed_at_its_index("push")
    assert paths(publish(published.plan).pushed) == {published.artifacts[name].path for name in STORED}
    for name in STORED:
        assert all(published.object(digest).exists() for digest in content_of(published.artifacts[name]).objects)


def test_a_remote_that_lost_a_file_of_a_folder_is_told(published):
    content = content_of(published.artifacts["tiny"])
    published.object(content.files["weights"].md5).unlink()
    with pytest.raises(
        UserError, match=rf"(?s)lacks bytes of 1.*{published.artifacts['tiny'].path}.*delete .*{content.md5[2:]}"
    ):
        publish(published.plan)


def refused(project: Project, *message: str) -> None:
    """Publishing stops, says so, and has done nothing."""
    new = Artifact(some_recipe("region"), "new")
    make(new)
    project.artifacts["new"] = new
    with pytest.raises(UserError) as error:
        publish(project.plan)
    for words in message:
        assert re.search(words, str(error.value)), str(error.value)
    assert not Path(new.pointer).exists() and not git("diff", "--cached", "--name-only")


def test_other_bytes_than_those_of_receipt_or_pointer_stop_all(published):
    altered, again = published.artifacts["a"], published.artifacts["b"]
    Path(altered.path).write_bytes(b"other")
    make(again, b"other bytes, and a receipt of them")
    refused(
        published,
        f"{altered.path} .*altered: .* has another sha256 .*safety-regions pull",
        f"{again.path} .*computed again with other bytes than those published .*git checkout",
    )


def test_bytes_made_again_before_their_pointer_was_committed_are_told(published):
    again = published.artifacts["b"]
    git("rm", "--quiet", "--cached", again.pointer)
    git("commit", "-m", "as if it was killed before it was staged")
    make(again, b"other bytes, and a receipt of them")
    refused(published, again.path, "never committed")


@pytest.mark.parametrize("text", ["outs: [", "outs:\n- {md5: 0123, size: 1, hash: md5, path: b}\n", None])
def test_a_pointer_that_is_not_as_committed_stops_all(published, text):
    pointer = Path(published.artifacts["b"].pointer)
    pointer.unlink() if text is None else pointer.write_text(text)
    refused(published, f"{published.artifacts['b'].path} .*pointer (edited|deleted) .*git checkout HEAD -- {pointer}")
    git("checkout", "HEAD", "--", str(pointer))
    assert paths(publish(published.plan).new) == {published.artifacts["new"].path}


def test_pointers_that_disagree_in_a_merge_are_not_taken(published):
    pointer = Path(published.artifacts["b"].pointer)
    text = pointer.read_text()
    for branch, digit in (("one", "1"), ("two", "2")):
        git("checkout", "--quiet", "-b", branch, "main")
        pointer.write_text(text.replace("size: ", f"size: {digit}"))
        git("commit", "--all", "-m", branch)
    with pytest.raises(Exception, match="returned non-zero"):
        git("merge", "one")
    with pytest.raises(UserError, match=rf"(?s){published.artifacts['b'].path}.*not merged") as told:
        publish(published.plan)
    (typed,) = re.findall(r"git checkout --ours .*", str(told.value))
    subprocess.run(["bash", "-ec", typed.replace(" (or --theirs)", "")], check=True)
    # Neither branch's pointer is of the bytes that are here.
    with pytest.raises(UserError, match=rf"(?s){published.artifacts['b'].path}.*pointer edited|disagrees"):
        publish(published.plan)


def no_remote() -> None:
    Path(".dvc/config").write_text("[core]\n    analytics = false\n")


def not_verified() -> None:
    Path(".dvc/config").write_text(Path(".dvc/config").read_text().replace("verify = true", "verify = false"))


def results_elsewhere() -> None:
    shutil.move("results", "../scratch")
    Path("results").symlink_to("../scratch")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda: shutil.rmtree(".git"), "no git repository"),
        (lambda: shutil.rmtree(".dvc"), "not inside of a DVC repository(?s:.*)dvc init"),
        (no_remote, "no remote specified(?s:.*)dvc remote add -d"),
        (not_verified, "dvc remote modify store verify true"),
        (results_elsewhere, "symbolic link"),
    ],
)
def test_without_git_or_a_verified_remote_nothing_begins(project, fault, message):
    fault()
    with pytest.raises(UserError, match=message) as told:
        publish(project.plan)
    assert not list(Path("results").rglob("*.dvc"))
    if typed := re.search(r"hint: +(dvc remote .*)", str(told.value)):
        command = typed[1].split(" (")[0].replace("NAME", "store").replace("URL", "../remote")
        subprocess.run(["bash", "-ec", command.replace("dvc ", f"{sys.executable} -m dvc ")], check=True)
        assert publish(project.plan).new


def test_another_dvc_at_work_is_told(project):
    Path(".dvc/tmp").mkdir()
    with open(".dvc/tmp/lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(UserError, match="another DVC process is at work"):
            publish(project.plan)
