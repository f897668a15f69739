"""YAML is read strictly: what YAML lets pass in silence is told with file and line."""

import pytest

from safety_regions.config.yaml_lines import Places, check_files, read_document, read_yaml
from safety_regions.errors import UserError

FAULTS = [
    ("", "an empty file", ""),
    ("# only a comment\n", "an empty file", ""),
    ("- a\n- b\n", "a list of 2: [a, b]", ""),
    ("just text\n", 'the text "just text"', ""),
    ("a: [1\nb: 2\n", "not YAML", ", line 2"),
    ("a:\n\tb: 1\n", "indent with spaces, not tabs", ", line 2"),
    ("a: 'open\n", "not YAML", ", line 2"),
    ("a: 1\n---\nb: 2\n", "another document", ", line 2"),
    ("a: *nowhere\n", "undefined alias", ", line 1"),
    ("a: 1\nb:\n  c: 1\n  c: 2\n", "b.c: found this key twice, first in line 3", ", line 4"),
    ("a: {b: 1, b: 2}\n", "a.b: found this key twice", ", line 1"),
    ("a: 1\nb:\nc: 2\n", "b: found nothing after the colon", ", line 2"),
    ("a: &x {b: *x}\n", "a.b: found an alias of a value that it is itself part of", ", line 1"),
    ("a: !!set {x, y}\n", "found the YAML tag", ", line 1"),
    ("a: !local x\n", "which YAML cannot read", ", line 1"),
    ("a: 2024-13-45\n", "month must be in 1..12", ", line 1"),
    ("? [1, 2]\n: 3\n", "a key that is a list of 2: [1, 2]", ", line 1"),
    ("a: {<<: 3}\n", "the number 3 after `<<:`", ", line 1"),
    ("a: " + "[" * 90_000, "inside each other", ", line 1"),
    ("a: \x00\n", "control characters", ""),
]


@pytest.mark.parametrize(("text", "found", "line"), FAULTS, ids=range(len(FAULTS)))
def test_a_faulty_file_is_refused_with_its_line(tmp_path, text, found, line):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        read_yaml(file)
    assert found in str(caught.value) and f"{file}{line}" in str(caught.value)


def test_a_file_that_cannot_be_read_is_a_users_mistake(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    for file, found in [
        (tmp_path / "none.yaml", "No such file"),
        (tmp_path, "directory"),
        (tmp_path / "latin.yaml", "UTF-8"),
    ]:
        with pytest.raises(UserError, match=found):
            read_yaml(file)


def test_mistakes_of_all_files_are_listed(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("a: 1\na: 2\n")
    with pytest.raises(UserError) as caught:
        check_files([tmp_path / "one.yaml", tmp_path / "two.yaml"])
    assert str(caught.value).startswith("2 mistakes")
    assert "one.yaml, line 2" in str(caught.value) and "two.yaml, line 2" in str(caught.value)


def test_merge_keys_and_aliases_give_what_yaml_says(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("d: &d {x: 1, y: 2}\ne: &e {y: 5, z: 6}\na: {<<: [*d, *e], z: 3}\nb: *d\n")
    content = read_yaml(file)
    assert content["a"] == {"x": 1, "y": 2, "z": 3}
    assert content["b"] == {"x": 1, "y": 2}


def test_a_list_set_later_hides_the_places_of_the_earlier_one(tmp_path):
    first, last = tmp_path / "first.yaml", tmp_path / "last.yaml"
    first.write_text("a:\n  - 1\n  - 2\nb:\n  c: 1\n")
    last.write_text("b: {d: 2}\na: [3]\n")
    places = Places([read_document(first), read_document(last)], {"b": {"d": "4"}}, fallback="elsewhere")
    assert places.of(("a", 0)).where == f"{last}, line 2"
    assert places.of(("a", 1)).where == f"{last}, line 2"
    assert places.of(("b", "c")).where == f"{first}, line 5"
    assert places.of(("b", "d")).where == "--config"
    assert places.of(("z",)).where == "elsewhere"
