"""Pulling: no more than is needed, all of it checked; damage here is mended, and damage in the remote is told."""

import os
import shutil
from pathlib import Path

import pytest
from sharing import Project, killed_at_its_index, make

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.files import sha256_of_file
from safety_regions.share.findings import inspect
from safety_regions.share.pull import named, needed, pull

STORED = ["rows", "tiny", "a", "b"]


def cache_type(kind: str) -> None:
    with open(".dvc/config", "a") as config:
        config.write(f"[cache]\n    type = {kind}\n")


def damage(path: Path) -> None:
    """Flip one bit; time, size and mode stay, as on a disk that fails."""
    data, status = bytearray(path.read_bytes()), path.stat()
    data[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def here(project: Project) -> set[str]:
    """Names of the published artifacts whose bytes are in place and right."""
    states = {finding.path: finding.state for finding in inspect(project.artifacts[name].path for name in STORED)}
    return {name for name in STORED if states[project.artifacts[name].path] == "ok"}


def test_a_run_pulls_what_it_needs_and_no_more(clone):
    assert needed(clone.plan) == [], "the report is made of tables, which are in git"
    shutil.rmtree(clone.artifacts["table"].path)
    assert needed(clone.plan) == [clone.artifacts[name].path for name in "ab"]
    cache_type("hardlink")
    done = pull(needed(clone.plan))
    assert here(clone) == {"a", "b"} and not done.mended
    assert Path(clone.artifacts["a"].path).stat().st_nlink == 2
    assert {artifact.kind for artifact in clone.plan.missing.values()} == {"report", "overlap"}


def test_all_of_a_run_is_pulled_on_request_and_whole(clone):
    assert set(needed(clone.plan, everything=True)) == {clone.artifacts[name].path for name in STORED}
    pull(named([clone.artifacts["tiny"].pointer, clone.artifacts["rows"].path]))
    assert here(clone) == {"tiny", "rows"}
    Path(clone.artifacts["tiny"].path, "weights").unlink()
    assert clone.artifacts["tiny"].exists() and needed(clone.plan) == [clone.artifacts["tiny"].path]
    pull(needed(clone.plan))
    assert here(clone) == {"tiny", "rows"}


def test_what_a_killed_dvc_left_out_of_its_index_comes_too(clone):
    killed_at_its_index("pull")
    pull(needed(clone.plan, everything=True))
    assert here(clone) == set(STORED)


def test_what_was_never_published_cannot_be_named(clone):
    with pytest.raises(UserError, match=f"nothing published(?s:.*){clone.artifacts['table'].path}"):
        named([clone.artifacts["table"].path])


@pytest.mark.parametrize("kind", ["copy", "symlink"])
def test_damage_in_the_cache_is_mended(published, kind):
    cache_type(kind)
    tiny = Path(published.artifacts["tiny"].path)
    listed = published.cached(published.md5("tiny"))
    damage(published.cached(inspect([str(tiny)])[0].content.files["weights"].md5))
    damage(published.cached(published.md5("a")))
    published.cached(published.md5("b")).chmod(0o644)
    published.cached(published.md5("b")).write_bytes(b"trunc")
    published.cached(published.md5("b")).chmod(0o444)
    for name in ("a", "b", "tiny"):
        path = Path(published.artifacts[name].path)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = pull([published.artifacts[name].path for name in ("a", "b", "tiny")])
    assert set(done.mended) == {published.artifacts[name].path for name in ("a", "b", "tiny")}
    assert here(published) == set(STORED) and listed.exists()
    assert Path(published.artifacts["a"].path).is_symlink() == (kind == "symlink")


def weights_of_tiny(clone: Project) -> Path:
    """The object of a file in a folder."""
    sha256 = receipts.read(clone.artifacts["tiny"].path).files["weights"]
    (found,) = (o for o in Path("../remote/files/md5").rglob("*") if o.is_file() and sha256_of_file(o) == sha256)
    return found


@pytest.mark.parametrize("verified", [True, False])
def test_damage_in_the_remote_is_told_and_not_left_in_place(clone, verified):
    if not verified:
        Path(".dvc/config").write_text(Path(".dvc/config").read_text().replace("verify = true", "verify = false"))
    child = weights_of_tiny(clone)
    for path in (child, clone.object(clone.md5("a"))):
        damage(path)
    with pytest.raises(UserError) as error:
        pull([clone.artifacts[name].path for name in ("a", "b", "tiny")])
    message = str(error.value)
    assert "2 artifacts did not come whole from the remote `store`" in message and "Ada <ada@example.org>" in message
    for told in ("a", "tiny"):
        assert clone.artifacts[told].path in message
    for path in (child, clone.object(clone.md5("a")), clone.object(clone.md5("tiny"))):
        assert f"{path.parent.name}/{path.name}" in message
    assert clone.artifacts["b"].path not in message and here(clone) == {"b"}
    assert not Path(clone.artifacts["a"].path).exists()


def test_what_the_remote_lacks_is_told_with_who_has_it(clone):
    clone.object(clone.md5("a")).unlink()
    weights_of_tiny(clone).unlink()
    with pytest.raises(
        UserError, match=r"(?s)remote `store` lacks bytes of 2 .*Ada <ada@example.org>.*publish"
    ) as error:
        pull([clone.artifacts[name].path for name in ("a", "b", "tiny")])
    assert {name for name in STORED if clone.artifacts[name].path in str(error.value)} == {"a", "tiny"}
    assert here(clone) == {"b"}, "what the remote has is put in place"


def test_without_a_remote_the_error_says_so(clone):
    Path(".dvc/config").write_text("[core]\n    analytics = false\n")
    with pytest.raises(UserError, match=r"no remote specified(?s:.*)dvc remote add -d"):
        pull([clone.artifacts["a"].path])


def test_a_receipt_of_other_bytes_than_the_pointer_is_told(published):
    """Two people made other bytes of one recipe, and a merge took the receipt of one and the pointer of the other."""
    make(published.artifacts["a"], b"of somebody else")
    Path(published.artifacts["a"].path).unlink()
    with pytest.raises(UserError, match="its receipt and its pointer are of different bytes"):
        pull([published.artifacts["a"].path])
