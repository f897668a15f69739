"""Files are there whole or not at all, readable by the group as the umask says, and JSON has one text."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety_regions import files
from safety_regions.errors import UserError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


@given(st.dictionaries(st.text(), VALUES))
def test_canonical_json_does_not_depend_on_key_order(value):
    reordered = dict(reversed(list(value.items())))
    assert files.canonical_json(value) == files.canonical_json(reordered)
    assert json.loads(files.canonical_json(value)) == value


def test_a_failing_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_killed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    files.write_text(path, "old")
    code = f"""
import os, signal
from safety_regions.files import atomic_path
with atomic_path({str(path)!r}) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert path.read_text() == "old"


WRITES = """
import sys
from safety_regions.files import atomic_path
from safety_regions.models.folder import new_folder
with atomic_path(sys.argv[1]) as file, new_folder(sys.argv[2]) as folder:
    file.write_text("half")
    (folder / "weights").write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writing(tmp_path):
    """A process that is writing the file `x` and the folder `model`, and the names of what it has begun."""
    command = [sys.executable, "-c", WRITES, str(tmp_path / "x"), str(tmp_path / "model")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        yield process, {path.name for path in tmp_path.iterdir()}
        process.kill()


def sweep(folder: Path) -> set[str]:
    """What is left of a folder in which two runs, which both plan the file and the model, clean up."""
    for name in ("x", "model"):
        files.remove_leftovers(folder / name)
    return {path.name for path in folder.iterdir()}


def test_what_a_live_process_writes_stays_and_what_a_dead_one_left_goes(tmp_path, writing):
    process, begun = writing
    assert len(begun) == 2 and sweep(tmp_path) == begun
    process.kill()
    process.wait()
    assert sweep(tmp_path) == set()


def test_what_another_user_or_another_machine_writes_stays(tmp_path, writing, monkeypatch):
    process, begun = writing
    process.kill()
    process.wait()

    def refuse(number, signal):
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", refuse)
        assert sweep(tmp_path) == begun
    monkeypatch.setattr(files, "_processes", lambda: "0" * 8)
    assert sweep(tmp_path) == begun
    for name in begun:
        os.utime(tmp_path / name, (0, 0))
    # In the folder something was written just now.
    assert [name.startswith(".model.") for name in sweep(tmp_path)] == [True]


def test_leftovers_that_the_system_keeps_are_no_fault(tmp_path, writing, monkeypatch):
    process, begun = writing
    process.kill()
    process.wait()

    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(os, "unlink", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    assert sweep(tmp_path) == begun


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_have_the_mode_that_the_umask_says(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "x", "")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == mode


@given(rows=st.lists(st.dictionaries(st.text(), VALUES)))
def test_jsonl_survives_any_text(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    files.write_jsonl(path, rows)
    assert files.read_jsonl(path) == rows


@pytest.mark.parametrize(("line", "message"), [("{", "not JSON"), ("[1]", "a JSON list")])
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n' + line + "\n")
    with pytest.raises(UserError, match=rf"(?s){message}.*rows\.jsonl, line 2"):
        files.read_jsonl(path)


@pytest.fixture
def calls(monkeypatch):
    """What a write asks the disk for, in order: `fsync` of a folder or of bytes, and `replace`."""
    seen, fsync, replace = [], os.fsync, os.replace

    def noted_fsync(handle):
        target = Path(f"/proc/self/fd/{handle}").readlink()
        # The name of a temporary file ends otherwise each time.
        seen.append(("fsync", target.name) if target.is_dir() else ("fsync", target.read_bytes()))
        fsync(handle)

    def noted_replace(source, target):
        seen.append(("replace", Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    return seen


def test_bytes_are_on_disk_before_they_have_the_name_and_the_name_before_the_write_is_done(tmp_path, calls):
    """What a crash of the machine leaves is the old file or the whole new one, and what was written stays written."""
    folder = tmp_path / "folder"
    files.write_text(folder / "x", "whole")
    assert calls == [("fsync", b"whole"), ("replace", "x"), ("fsync", "folder")]


def test_a_failing_write_gives_nothing_the_name(tmp_path, calls):
    with pytest.raises(RuntimeError), files.atomic_path(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert calls == []


def test_no_file_is_left_open_by_a_write(tmp_path):
    before = len([*Path("/proc/self/fd").iterdir()])
    for i in range(5):
        files.write_text(tmp_path / f"{i}", "")
    assert len([*Path("/proc/self/fd").iterdir()]) == before
