"""Arbitrary configurations and registries: checked values or one error that lists mistakes; never a traceback or a
hang.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pipeline import ROOT

from safety_regions.config.load import load_registries, load_run
from safety_regions.config.run import RunConfig
from safety_regions.config.yaml_lines import read_yaml
from safety_regions.errors import UserError

few = settings(max_examples=60)
KEYS = st.sampled_from([*RunConfig.model_fields, "source", "kind", "path", "q", "", "..", "<<", "ключ", 3, -1])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.binary(max_size=3),
    st.sampled_from([10**30, "../../x", "tiny-llama", "syn_steal", "hub", "local", "\x85", "null", "1e3"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The path of everything inside nested mappings and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in places(item, (*path, key)))]


def changed(value: dict | list, path: tuple, new: object) -> object:
    """A copy with another value at that path."""
    if not path:
        return new
    inner = changed(value[path[0]], path[1:], new)
    if isinstance(value, dict):
        return value | {path[0]: inner}
    return [inner if i == path[0] else item for i, item in enumerate(value)]


def outcome(make: Callable[[], object]) -> object:
    """What it makes, or None after a `UserError` that says something."""
    try:
        return make()
    except UserError as error:
        assert error.found
        return None


@cache
def demo() -> dict:
    return read_yaml(ROOT / "config/demo.yaml")


@few
@given(st.sampled_from(places(demo())), VALUES)
def test_any_value_anywhere_in_a_run(path, value):
    data = changed(demo(), path, value if path else {"datasets": value})
    found = outcome(lambda: load_run(data))
    assert found is None or isinstance(found, RunConfig)


@few
@given(VALUES)
def test_any_values_by_the_command_line(value):
    outcome(lambda: load_run({}, overrides={"datasets": value}))


ABOUT = {"licence": "a", "citation": "b"}
DATASETS = {name: {"source": {"kind": "synthetic", "name": "steal"}} | ABOUT for name in ("one", "two", "three")}
MODELS = {"small": {"source": {"kind": "tiny", "family": "llama"}} | ABOUT}
LOCAL = {"mine": {"source": {"kind": "local", "path": "x.csv", "format": "csv"}} | ABOUT}
HUB = {"mine": {"source": {"kind": "hub", "id": "a/b", "revision": "0" * 40}} | ABOUT}
RUN = {"models": ["small"], "datasets": {"safety": ["one", "two"], "utility": ["three"]}}


@few
@given(st.sampled_from(["datasets", "models"]), st.data())
def test_any_value_anywhere_in_a_registry(kind, data):
    sound = LOCAL if kind == "datasets" else HUB
    content = changed(sound, data.draw(st.sampled_from(places(sound))), data.draw(VALUES))
    with TemporaryDirectory() as folder:
        files = {name: Path(folder, f"{name}.yaml") for name in ("datasets", "models", "own")}
        for name, value in (("datasets", DATASETS), ("models", MODELS), ("own", content)):
            files[name].write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
        registry = {name: [str(files[name])] + [str(files["own"])] * (name == kind) for name in ("datasets", "models")}
        run = load_run(RUN | {"registry": registry})
        found = outcome(lambda: load_registries(run))
        assert found is None or found.datasets.keys() >= DATASETS.keys()


def test_the_sound_registries_are_accepted(tmp_path):
    for name, value in (("datasets", DATASETS | LOCAL), ("models", MODELS | HUB)):
        (tmp_path / name).write_text(yaml.safe_dump(value))
    run = load_run(RUN | {"registry": {name: [str(tmp_path / name)] for name in ("datasets", "models")}})
    assert "mine" in load_registries(run).datasets and "mine" in load_registries(run).models


@few
@given(st.text(max_size=60) | st.binary(max_size=60))
@example("&a [*a]")
@example("a: &a {b: *a}")
@example("? {a: b}\n: c")
@example("a: !!python/object/apply:os.system [ls]")
@example("a: !!python/name:os.system")
def test_any_text_in_place_of_yaml(text):
    with TemporaryDirectory() as folder:
        file = Path(folder, "x.yaml")
        file.write_bytes(text if isinstance(text, bytes) else text.encode(errors="replace"))
        found = outcome(lambda: read_yaml(file))
        assert found is None or isinstance(found, dict)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mkdir [made]",
        "!!python/object/new:os.mkdir [made]",
        "!!python/name:os.system",
        "!!python/module:os",
    ],
)
def test_yaml_makes_no_objects(tmp_path, monkeypatch, tag):
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(f"a: {tag}\n")
    with pytest.raises(UserError):
        read_yaml("x.yaml")
    assert not Path("made").exists()


def test_aliases_that_multiply_are_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 8)}]" for i in range(1, 9)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(UserError, match="alias"):
        read_yaml(tmp_path / "bomb.yaml")
