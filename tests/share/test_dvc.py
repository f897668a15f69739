"""Calls of DVC: few of them, however many targets, and what DVC complains of reaches the user."""

import shutil
from pathlib import Path

import pytest

from safety_regions.errors import UserError
from safety_regions.share import dvc as module
from safety_regions.share.dvc import dvc
from safety_regions.share.storage import look, push
from safety_regions.text import SHOWN, first, table


def test_targets_are_split_only_where_a_command_line_would_be_too_long(monkeypatch):
    targets = [f"results/regions/{i:04d}.safetensors" for i in range(4000)]
    assert list(module._chunks(targets)) == [targets]
    monkeypatch.setattr(module, "ARGUMENT_BYTES", 1000)
    chunks = list(module._chunks(targets))
    assert [target for chunk in chunks for target in chunk] == targets
    assert all(sum(len(target) + 1 for target in chunk) <= 1000 for chunk in chunks) and len(chunks) < 4000 / 20
    assert list(module._chunks([])) == []


def test_what_dvc_complains_of_is_told(project):
    with pytest.raises(UserError, match=r"dvc add failed(?s:.*)results/none(?s:.*)hint"):
        dvc("add", targets=["results/none"])


def test_objects_are_pushed_by_their_names_whatever_pointers_say(staged):
    """To read thousands of pointers takes DVC longer than all else of a publish."""
    digests = [staged.md5(name) for name in ("tiny", "a")]
    shutil.rmtree("../remote/files")
    for name in ("rows", "tiny", "a", "b"):
        Path(staged.artifacts[name].pointer).unlink()
    push(digests)
    storage = look(digests)
    assert not storage.absent and len(storage.objects(digests[0])) == 3
    shutil.rmtree("../remote/files")
    Path("../remote/files").write_text("no folder")
    with pytest.raises(UserError, match=r"DVC: .*"):
        push(digests)


def test_tables_are_read_by_people():
    rows = [["one", 1], ["eleven", 11]]
    assert table(["name", "n"], rows).splitlines() == ["name     n", "------  --", "one      1", "eleven  11"]
    many = [[f"row {i}", ""] for i in range(SHOWN + 2)]
    assert first(rows, "there") == rows and len(first(many, "there")) == SHOWN + 1
    assert first(many, "there")[-1] == ["and 2 more: there", ""]
