"""Files are there whole or not at all, readable by the group as the umask says, and JSON has one text."""

import errno
import io
import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety_regions import errors, files
from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.models.folder import new_folder
from safety_regions.share.content import digests_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_canonical_json_does_not_depend_on_key_order(value):
    reordered = dict(reversed(list(value.items())))
    assert files.canonical_json(value) == files.canonical_json(reordered)
    assert json.loads(files.canonical_json(value)) == value


def test_json_for_diffs_has_one_order_a_line_for_each_key_and_its_letters_as_they_are():
    value = {"b": {"d": 1, "c": ["\u00e9"]}, "a": None}
    assert files.readable_json(value) == '{\n "a": null,\n "b": {\n  "c": [\n   "\u00e9"\n  ],\n  "d": 1\n }\n}\n'
    with pytest.raises(ValueError):
        files.readable_json(float("nan"))


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
        os.utime(tmp_path / name, (0, time.time() - 6.9 * 86400))
    assert sweep(tmp_path) == begun
    for name in begun:
        os.utime(tmp_path / name, (0, time.time() - 7.1 * 86400))
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


@given(rows=st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=4))
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


NOT_OFFERED = ("EINVAL", "ENOTSUP", "ENOSYS", "EPERM", "EACCES", "EBADF")
"""What CIFS, sshfs, VirtualBox, exFAT and others say to `fsync` of a folder, or to `chmod`."""


def refusing(number: int, only_folders: bool = False):
    """In place of a function of `os`: the system refuses, for all or for folders only."""

    def refuse(target, *arguments, **_):
        if not only_folders or stat.S_ISDIR(os.fstat(target).st_mode):
            raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_a_file_system_without_modes_or_without_fsync_of_folders_will_do(tmp_path, monkeypatch, name):
    monkeypatch.setattr(os, "fsync", refusing(getattr(errno, name), only_folders=True))
    monkeypatch.setattr(os, "chmod", refusing(getattr(errno, name)))
    monkeypatch.setattr(Path, "chmod", refusing(getattr(errno, name)))
    files.write_text(tmp_path / "x", "whole")
    with new_folder(tmp_path / "model") as folder:
        (folder / "weights").write_text("whole")
    assert [(tmp_path / name).read_text() for name in ("x", "model/weights")] == ["whole", "whole"]


def test_bytes_that_did_not_reach_the_disk_are_not_given_the_name(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    with pytest.raises(UserError, match=rf"(?s)input/output error.*{tmp_path}/x.*hint: +start again"):
        files.write_text(tmp_path / "x", "whole")
    assert list(tmp_path.iterdir()) == []


FAULTS = (
    *("EIO", "EREMOTEIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "EBUSY"),
    *("ETXTBSY", "ENOLCK", "EMFILE", "ENFILE", "ENOMEM"),
)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("named", [True, False])
def test_what_disks_and_servers_do_is_one_message_that_says_to_start_again(capsys, name, named):
    number = getattr(errno, name)

    def main():
        raise OSError(number, os.strerror(number), *(["results/x"] if named else []))

    with pytest.raises(SystemExit):
        errors.run_main(main)
    said = capsys.readouterr().err
    assert said.startswith(f"error: {os.strerror(number).lower()}\n") and said.count("\n") == 3
    assert ("where:    results/x\n" in said) == named and str(Path.cwd()) not in said
    assert re.search(r"hint: +(start again|mount this file system anew, then start again)", said)


@pytest.mark.parametrize("read", [receipts.read, files.sha256_of_file, files.read_jsonl, digests_of])
def test_what_could_not_be_read_is_not_taken_for_damaged(tmp_path, monkeypatch, read):
    """A hint to delete it would cost good work."""
    (tmp_path / "x").write_text("{}")
    (tmp_path / "x.receipt.json").write_text("{}")

    class Failing(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            refuse()

    def refuse(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("builtins.open", lambda *_, **__: Failing())
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UserError, match=rf"(?si)input/output error.*{tmp_path}/x.*hint: +start again"):
        read(tmp_path / "x")


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
