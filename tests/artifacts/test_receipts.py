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


@pytest.fixture
def neighbours(folder):
    """The folder has files beside and below it, all with the same bytes."""
    (folder / "below").mkdir()
    for file in (folder.parent / "secret", folder / "below" / "x", folder / "weights"):
        file.write_bytes(b"123")
    return folder


@pytest.mark.parametrize(
    "name", ["../secret", "below/x", "below/../weights", "./weights", "/", "", ".", "..", "weights\0", "{absolute}"]
)
def test_a_receipt_that_names_anything_but_files_of_its_folder_is_refused(neighbours, name):
    """The bytes are there and have the sha256 that the receipt states: the name alone is what is wrong."""
    sha256 = receipts.read(neighbours).files["weights"]
    name = name.format(absolute=neighbours.parent / "secret")
    for files in ({name: sha256}, {"weights": sha256, name: sha256}, {name: sha256, "weights": sha256}):
        edit(neighbours, files=files)
        with pytest.raises(UserError, match="is not the name of a file"):
            receipts.read(neighbours)


@pytest.mark.parametrize("sha256", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", 7, None, ["0" * 64]])
def test_a_receipt_with_what_is_no_sha256_is_refused(folder, sha256):
    edit(folder, files={"weights": sha256})
    with pytest.raises(UserError, match="not a receipt"):
        receipts.read(folder)


@pytest.mark.parametrize("key", ["recipe", "digest", "files", "facts", "code"])
@pytest.mark.parametrize("value", [7, None, [], "text"])
def test_a_receipt_with_a_field_of_another_type_is_refused(folder, key, value):
    edit(folder, **{key: value})
    with pytest.raises(UserError, match="not a receipt" if key != "digest" or value != "text" else "edited"):
        receipts.read(folder)


def test_a_receipt_of_a_folder_names_its_files_and_no_leftovers(tmp_path):
    folder = tmp_path / "x"
    (folder / "inner").mkdir(parents=True)
    for name in ("a", ".a.123.tmp", "inner/b"):
        (folder / name).write_text(name)
    assert set(receipts.write(folder, RECIPE, {}).files) == {"a"}


def test_the_file_of_a_folder_that_has_its_own_name_is_looked_for_inside(tmp_path):
    """A receipt whose one file is called as the artifact is: of a file, or of a folder where a folder lies there."""
    alone, inside = tmp_path / "alone", tmp_path / "inside"
    alone.write_text("1")
    inside.mkdir()
    (inside / "inside").write_text("1")
    for artifact, file in ((alone, alone), (inside, inside / "inside")):
        receipts.write(artifact, RECIPE, {})
        assert list(receipts.paths_of(artifact, receipts.check(artifact)).values()) == [file]


def test_files_beside_those_that_a_receipt_names_do_not_stand_in_for_them(folder):
    (folder / "weights").rename(folder / "renamed")
    with pytest.raises(UserError, match=r"(?s)file missing.*weights"):
        receipts.check(folder)
