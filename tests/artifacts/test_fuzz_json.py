"""Arbitrary receipts, jobs and recipes: one message for the user, or what they say; never a traceback."""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.files import canonical_json, load_json, sha256_of_text
from safety_regions.planning.recipes.data import DatasetRecipe
from safety_regions.steps.arguments import read_paths, read_recipe
from safety_regions.steps.jobs import read_job

few = settings(max_examples=150)
DEEP = "[" * 100_000
KEYS = st.sampled_from(
    [
        "recipe",
        "digest",
        "files",
        "facts",
        "code",
        "entries",
        "path",
        "inputs",
        "kind",
        "version",
        "x",
        "../x",
        "a/b",
        "\0",
        "\ud800",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10**20),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["\ud800", "x", "0" * 64, "..", "dataset", 10**400]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=15
)
TEXTS = st.one_of(VALUES.map(json.dumps), st.text(max_size=30), st.just(DEEP), st.just('{"a":' * 100_000))


@few
@given(TEXTS)
def test_json_is_read_strictly_or_refused_with_a_value_error(text):
    try:
        value = load_json(text)
    except ValueError:
        return
    assert value == json.loads(text)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', DEEP])
def test_what_is_never_written_is_not_read(text):
    with pytest.raises(ValueError):
        load_json(text)


REACHABLE = ("x", "a/b", "a/x", "../secret", "a/../x", "./x")
"""Files that names in a receipt may lead to from the artifact's folder: all there, with the sound one's bytes."""


def place(folder: str, whole: bool) -> Path:
    """An artifact `x` that holds b"hi": a file, or a folder (`whole`) with the file `x` and others in reach."""
    artifact = Path(folder, "x")
    if whole:
        (artifact / "a").mkdir(parents=True)
        for name in REACHABLE:
            (artifact / name).write_bytes(b"hi")
    else:
        artifact.write_bytes(b"hi")
    return artifact


def checked(text: str | bytes, whole: bool = False) -> receipts.Receipt | None:
    """The receipt of this text beside the artifact, checked; None if it is refused."""
    with TemporaryDirectory() as folder:
        artifact = place(folder, whole)
        receipts.receipt_path(artifact).write_bytes(text if isinstance(text, bytes) else text.encode(errors="replace"))
        try:
            return receipts.check(artifact)
        except UserError as error:
            assert str(receipts.receipt_path(artifact)) in str(error) or str(artifact) in str(error)
            return None


def receipt(**changes: object) -> str:
    """A sound one for that file, but for the changes."""
    recipe = changes.get("recipe", {"kind": "test"})
    try:
        digest = sha256_of_text(canonical_json(recipe))
    except ValueError:
        digest = ""
    sound = {"recipe": recipe, "digest": digest, "facts": {}, "code": {}, "files": {"x": sha256_of_text("hi")}}
    return json.dumps(sound | changes)


@pytest.mark.parametrize("whole", [False, True])
def test_a_sound_receipt_is_accepted(whole):
    assert checked(receipt(), whole).files == {"x": sha256_of_text("hi")}


@few
@given(TEXTS | st.binary(max_size=20))
def test_any_text_in_place_of_a_receipt_is_refused(text):
    assert checked(text) is None


@few
@given(st.sampled_from(["recipe", "digest", "files", "facts", "code"]), VALUES, st.booleans())
@example("recipe", {"a": math.nan}, False)
@example("recipe", {"a": "\ud800"}, False)
@example("files", {}, True)
@example("files", {"../x": "0" * 64}, True)
@example("files", {"x": 3}, True)
def test_any_value_in_a_receipt_is_refused_or_is_one_that_decides_nothing(key, value, whole):
    found = checked(receipt(**{key: value}), whole)
    if found is not None:
        assert (found.files, found.digest) == (
            {"x": sha256_of_text("hi")},
            sha256_of_text(canonical_json(found.recipe)),
        )


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", [*REACHABLE[1:], "../x", "/etc/passwd", "..", ".", "", "x\0"])
def test_a_receipt_speaks_of_no_file_elsewhere(name, whole):
    assert checked(receipt(files={name: sha256_of_text("hi")}), whole) is None


SHA256S = st.sampled_from([sha256_of_text("hi"), sha256_of_text("ho"), "0" * 64])
NAMES = st.lists(st.sampled_from(["..", ".", "", "a", "b", "x", "secret", "x\0", "/"]), min_size=1, max_size=3)
FILES = st.dictionaries(NAMES.map("/".join), SHA256S, max_size=3)


@few
@given(FILES, st.booleans())
@example({"../secret": sha256_of_text("hi")}, True)
@example({"x": sha256_of_text("hi"), "a/b": sha256_of_text("hi")}, True)
@example({"x": sha256_of_text("ho")}, True)
def test_whatever_files_a_receipt_names_only_the_artifacts_own_are_accepted(files, whole):
    """All that such names lead to is there, with the bytes of the sound file: none is refused as missing alone."""
    found = checked(receipt(files=files), whole)
    assert (found is not None) is (files == {"x": sha256_of_text("hi")})


def test_a_folder_in_place_of_a_receipt_is_refused(tmp_path):
    receipts.receipt_path(tmp_path / "x").mkdir()
    with pytest.raises(UserError, match="Is a directory"):
        receipts.read(tmp_path / "x")


@few
@given(TEXTS | VALUES.map(lambda v: json.dumps({"entries": [{"path": "p", "recipe": v, "inputs": v}]})))
@example('{"entries": [{"path": "p", "recipe": {}, "inputs": []}]}')
@example('{"entries": [{"path": "p", "recipe": 3, "inputs": {}}]}')
@example('{"entries": [{"path": "p", "recipe": {"a": "\\ud800"}, "inputs": {}}]}')
@example('{"entries": [{"path": "p", "recipe": {"a": 1e999}, "inputs": {}}]}')
@example("@/")
@example("@\0")
def test_any_job_is_refused_or_has_paths_and_digests(text):
    try:
        entries = read_job(text)
    except UserError as error:
        assert error.where.startswith("--job")
        return
    for entry in entries:
        assert isinstance(entry.path, Path) and len(entry.digest) == 64
        assert all(isinstance(path, Path) for path in entry.inputs.values())


@few
@given(TEXTS)
@example('{"recipe": 3}')
@example('{"kind": "dataset", "version": 1, "a": "\\ud800"}')
def test_any_recipe_or_mapping_of_paths_is_refused_or_read(text):
    for read in (lambda: read_recipe(text, DatasetRecipe), lambda: read_paths(text, "--parts")):
        try:
            found = read()
        except UserError:
            continue
        assert isinstance(found, dict | DatasetRecipe)
