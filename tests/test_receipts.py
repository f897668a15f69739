"""Receipts: the same bytes every time, and every alteration is seen by whoever checks."""

import json

import pytest

from safety_regions.artifacts import receipts
from safety_regions.artifacts.code_history import code_of
from safety_regions.errors import UserError

RECIPE = {"kind": "overlap", "version": 1, "seed": 0}


@pytest.fixture
def artifact(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("content")
    receipts.write(path, RECIPE, {"n": 1}, versions=("numpy",))
    return path


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "weights").write_bytes(b"123")
    receipts.write(path, RECIPE, {})
    return path


def test_check_accepts_what_write_wrote(artifact, folder):
    digest = receipts.recipe_digest(RECIPE)
    assert receipts.check(artifact, digest).facts == {"n": 1}
    assert set(receipts.check(folder, digest).files) == {"config.json", "weights"}


def test_a_receipt_has_the_same_bytes_every_time(artifact):
    first = receipts.receipt_path(artifact).read_bytes()
    receipts.write(artifact, dict(reversed(RECIPE.items())), {"n": 1}, versions=("numpy",))
    assert receipts.receipt_path(artifact).read_bytes() == first


def edit(artifact, **changes):
    path = receipts.receipt_path(artifact)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda a: a.write_text("altered"), "altered or damaged"),
        (lambda a: a.unlink(), "file missing"),
        (lambda a: receipts.receipt_path(a).unlink(), "receipt missing"),
        (lambda a: receipts.receipt_path(a).write_text("{"), "not a receipt"),
        (lambda a: receipts.receipt_path(a).write_text("[]"), "not a receipt"),
        (lambda a: receipts.receipt_path(a).write_bytes(b"\xff\xfe"), "not a receipt"),
        (lambda a: edit(a, files=7), "not a receipt"),
        (lambda a: edit(a, recipe={"kind": "other"}), "edited"),
        (lambda a: edit(a, digest="0" * 64), "edited"),
    ],
)
def test_damage_is_seen_and_the_file_named(artifact, damage, message):
    damage(artifact)
    with pytest.raises(UserError, match=rf"(?s){message}.*{artifact.name}"):
        receipts.check(artifact)


def test_another_recipe_is_refused(artifact):
    with pytest.raises(UserError, match="made by recipe"):
        receipts.check(artifact, "0" * 64)


def test_a_folder_with_a_changed_file_is_refused(folder):
    (folder / "weights").write_bytes(b"124")
    with pytest.raises(UserError, match=r"(?s)altered.*weights"):
        receipts.check(folder)


def test_code_stands_on_one_line(artifact):
    code = [line for line in receipts.receipt_path(artifact).read_text().splitlines() if line.startswith(' "code": ')]
    assert len(code) == 1 and receipts.read(artifact).code == code_of(RECIPE) != {}
