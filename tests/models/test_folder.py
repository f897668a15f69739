"""Model folders come into being as a whole."""

import os

import pytest

from safety_regions.errors import UserError
from safety_regions.models.folder import new_folder


def make(folder, *names, text="new"):
    with new_folder(folder) as temporary:
        for name in names:
            (temporary / name).write_text(text)


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("exists", [False, True])
def test_files_arrive_together_in_a_new_or_an_empty_folder(tmp_path, exists):
    target = tmp_path / "deep" / "model"
    if exists:
        target.mkdir(parents=True)
    make(target, "a", "z")
    assert content(target) == {"a": "new", "z": "new"}
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "model") as temporary:
        (temporary / "a").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_remains_of_an_earlier_attempt_are_replaced(tmp_path):
    make(tmp_path / "model", "a", text="old")
    make(tmp_path / "model", "a", "z")
    assert content(tmp_path / "model") == {"a": "new", "z": "new"}


def test_somebody_elses_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        make(tmp_path, "a", "z")
    assert content(tmp_path) == {"thesis.tex": "mine"}


def test_a_receipt_that_is_there_goes_before_the_first_file_changes(tmp_path, monkeypatch):
    make(tmp_path / "model", "a", text="old")
    receipt = tmp_path / "model.receipt.json"
    receipt.write_text("old")
    seen = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append(receipt.exists()), replace(a, b)))
    make(tmp_path / "model", "a", "z")
    assert seen == [False, False]


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with new_folder(tmp_path / "model") as temporary:
            (temporary / "a").touch(mode=0o600)
        assert (tmp_path / "model" / "a").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(old)
