"""A mistake in a run's configuration is told with its place, what was found, what is allowed, and the way out."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from safety_regions.config.generate import demo_yaml
from safety_regions.config.load import load_run
from safety_regions.config.run import RunConfig
from safety_regions.errors import UserError

ID_WORDS = "a name of 1 to 64 letters, digits, _ and - that starts with a letter or digit"

MISTAKES = [
    # unknown keys
    ("q: 0.01", 1, "q: found an unknown key", "one of the keys: name,", "did you mean thresholds.q?"),
    ("model: [a]", 1, "model: found an unknown key", "models", "did you mean 'models'?"),
    ("seed: 3", 1, "seed: found", "one of the keys", "did you mean datasets.seed or"),
    ("name: a\ndevice: cpu", 2, "device: found an unknown key", "machine", "did you mean machine.device?"),
    ("methods:\n  snipp: {}", 2, "methods.snipp: found", "one of the keys: snip, wanda", "did you mean 'snip'?"),
    ("methods:\n  zzz: {}", 2, "methods.zzz: found", "one of the keys: snip, wanda", ""),
    ("thresholds: {quantile: 1}", 1, "thresholds.quantile: found", "one of the keys: grid, scope, q, p", ""),
    ("datasets:\n  n_sample: 4", 2, "datasets.n_sample: found", "n_samples", "did you mean 'n_samples'?"),
    ("1: 2", 1, "1: found the number 1 as a key", "keys that are text", "in quotes"),
    ("no: 2", 1, "false: found false as a key", "keys that are text", "yes, no, on, off"),
    # numbers
    ("thresholds:\n  q: 1e-3", 2, 'thresholds.q: found the text "1e-3"', "a number in (0, 1]", "write 0.001 or 1.0e-3"),
    ("thresholds:\n  q: 2E5", 2, 'found the text "2E5"', "a number in (0, 1]", "write 200000 or 2.0e+5"),
    ("thresholds:\n  p: 5%", 2, 'thresholds.p: found the text "5%"', "a number in (0, 1]", "write 0.05"),
    ("thresholds:\n  p: 0,05", 2, 'found the text "0,05"', "a number in (0, 1]", "write 0.05"),
    ("thresholds:\n  p: 5", 2, "thresholds.p: found the number 5", "a number in (0, 1]", "5% is 0.05"),
    ("thresholds:\n  p: 0", 2, "thresholds.p: found the number 0", "a number in (0, 1]", ""),
    ("thresholds:\n  q: .nan", 2, "the number nan (written .nan)", "a number in (0, 1]", "only finite numbers"),
    ("thresholds:\n  q: yes", 2, "thresholds.q: found true (written yes)", "a number in (0, 1]", ""),
    ("thresholds:\n  q: five", 2, 'found the text "five"', "a number in (0, 1]", ""),
    ("datasets: {n_samples: 1e3}", 1, 'n_samples: found the text "1e3"', "a whole number, 1 or more", "write 1000"),
    ("datasets: {n_samples: 0}", 1, "found the number 0", "a whole number, 1 or more", ""),
    ("datasets: {seed: 1.0}", 1, "datasets.seed: found the number 1.0", "a whole number", "write 1"),
    ("datasets: {seed: 1.5}", 1, "datasets.seed: found the number 1.5", "a whole number", ""),
    ("datasets: {seed: true}", 1, "datasets.seed: found true", "a whole number", ""),
    ('overlap: {seed: "3"}', 1, 'overlap.seed: found the text "3"', "a whole number", "write 3"),
    # words
    ("thresholds: {scope: Matrx}", 1, 'found the text "Matrx"', "row, matrix, layer, model", "did you mean 'matrix'?"),
    ("datasets: {deduplicate: no}", 1, "found false (written no)", "one of: none, within, across", "in quotes"),
    ("datasets: {deduplicate: null}", 1, "found nothing (null)", "one of: none, within, across", "or write none"),
    (
        "replicates: {methods: [snp]}",
        1,
        'replicates.methods.0: found the text "snp"',
        "one of: snip, wanda, safeneuron, safelayer, nlsr, ssah, direction\n",
        "did you mean 'snip'?",
    ),
    (
        "controls: {methods: [3]}",
        1,
        "controls.methods.0: found the number 3",
        "one of: snip, wanda, safeneuron, safelayer, nlsr, ssah, direction\n",
        "in quotes",
    ),
    ("machine: {device: [cpu]}", 1, "found a list of 1: [cpu]", "one of: auto, cpu, cuda", ""),
    ("name: 007", 1, "name: found the number 7 (written 007)", ID_WORDS, "put it in quotes"),
    ("name: a/b", 1, 'name: found the text "a/b"', ID_WORDS, ""),
    ("responses: {template: off}", 1, "template: found false (written off)", "text", "in quotes"),
    # lists and mappings
    ("models: tiny-llama", 1, 'models: found the text "tiny-llama"', "a list of at least 1 item", "[tiny-llama]"),
    ("models: []", 1, "models: found an empty list", "a list of at least 1 item", ""),
    ("models:\n- ok\n- yes", 3, "models.1: found true (written yes)", ID_WORDS, "in quotes"),
    ("datasets:\n  safety: []", 2, "safety: found an empty list", "a list of at least 1 item", ""),
    ("datasets:\n  safety: [one]", 2, "safety: found one set", "two sets: a report compares", "set goal to"),
    ("datasets:\n  utility: []", 2, "utility: found no set", "one set or more: refinement", "set goal to"),
    ("datasets:\n  safety: {a: 1, b: 2}", 2, "found a mapping: {a: 1, b: 2}", "a list of at least 1", "[a, b]"),
    ("datasets: 3", 1, "datasets: found the number 3", "a mapping", ""),
    ("methods: {snip: yes}", 1, "methods.snip: found true (written yes)", "a mapping or null", ""),
    (
        "methods: {snip: null, wanda: null, safeneuron: null, safelayer: null, nlsr: null}",
        1,
        "every method left out",
        "at least one method",
        "",
    ),
    ("thresholds: {grid: [0.1, 1e-2]}", 1, 'grid.1: found the text "1e-2"', "a number in (0, 1]", "0.01 or 1.0e-2"),
    ("registry: {datasets: a.yaml}", 1, "registry.datasets: found", "a list of text", "[a.yaml]"),
    # rules over several keys
    ("thresholds:\n  q: 0.04", 2, "thresholds.q: found values that do not fit", "q = 0.04 is not in the grid", ""),
    ("thresholds:\n  grid: [0.1]", 1, "thresholds.q: found", "is not in the grid", "thresholds.q is not set"),
    ("thresholds:\n  grid: [0.2, 0.05]", 2, "thresholds.grid: found", "grid must ascend", ""),
    ("models: [a, a]", 1, "a listed more than once in models", "", ""),
    ("name: x\ndatasets: {safety: [a, b], utility: [a]}", 2, "datasets: found", "a listed more than once", ""),
]


def complaint(files: list, overrides: dict | None = None, merged: dict | None = None) -> str:
    merged = {} if merged is None else merged
    for file in files:
        merged = merged | yaml.safe_load(Path(file).read_text())
    with pytest.raises(UserError) as caught:
        load_run(merged, files, overrides)
    return str(caught.value)


@pytest.mark.parametrize(("text", "line", "found", "allowed", "hint"), MISTAKES)
def test_a_mistake_is_told_with_place_and_way_out(tmp_path, text, line, found, allowed, hint):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    message = complaint([file])
    for part in (found, f"{file}, line {line}\n", allowed, hint):
        assert part in message + "\n"
    assert ("hint:" in message) == bool(hint)


def test_all_mistakes_are_listed_at_once(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("q: 1\nthresholds: {scope: cell}\ndatasets:\n  seed: 1.5\n  n_samples: 0\n")
    message = complaint([file])
    assert message.startswith("4 mistakes")
    for number, key in enumerate(["datasets.n_samples", "datasets.seed", "thresholds.scope", "q"], 1):
        assert f"{number}. {key}: found" in message


def test_the_last_file_that_sets_a_key_is_named(tmp_path):
    first, last = tmp_path / "first.yaml", tmp_path / "last.yaml"
    first.write_text("overlap: {n_orders: 0}\nmodels: [a, b, no]\n")
    last.write_text("name: x\nmodels: [yes]\n")
    message = complaint([first, last])
    assert "overlap.n_orders: found the number 0\n     where:    " + f"{first}, line 1" in message
    assert f"models.0: found true (written yes)\n     where:    {last}, line 2" in message
    assert "models.2" not in message


def test_the_command_line_is_named_and_wins(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("thresholds: {q: 0.01}\n")
    message = complaint([file], {"thresholds": {"q": "half"}})
    assert 'thresholds.q: found the text "half"\n  where:    --config\n' in message


def test_text_of_the_command_line_becomes_what_the_schema_wants():
    overrides = {
        "thresholds": {"grid": ["1e-3", "0.5"], "q": "0.5", "p": "1e-3"},
        "datasets": {"seed": "7", "deduplicate": "none"},
        "methods": {"wanda": "null", "snip": {}},
        "responses": {"template": "12"},
        "models": ["3"],
    }
    run = load_run(overrides, overrides=overrides)
    assert run.thresholds.grid == [0.001, 0.5]
    assert (run.thresholds.q, run.thresholds.p, run.datasets.seed) == (0.5, 0.001, 7)
    assert run.methods.wanda is None and run.methods.snip is not None
    assert (run.responses.template, run.models) == ("12", ["3"])


def test_a_key_given_twice_is_refused_though_yaml_allows_it(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("name: a\nthresholds:\n  q: 0.01\n  q: 0.05\n")
    message = complaint([file])
    assert "thresholds.q: found this key twice, first in line 3" in message and f"{file}, line 4" in message


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates()
names = st.sampled_from([*RunConfig.model_fields, "safety", "q", "grid", "snip", "seed", "scope"]) | st.text(max_size=3)
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names | st.integers() | st.booleans(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(names, junk, max_size=5), st.dictionaries(names, junk, max_size=2))
def test_junk_is_refused_with_a_message_or_is_a_run(merged, overrides):
    try:
        assert isinstance(load_run(merged, [], overrides), RunConfig)
    except UserError as error:
        assert "found" in str(error)


@given(data=junk)
def test_junk_in_a_file_is_refused_with_a_message_or_is_a_run(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("junk") / "run.yaml"
    file.write_text(yaml.safe_dump(data, allow_unicode=True))
    try:
        assert isinstance(load_run(data if isinstance(data, dict) else {}, [file], {}), RunConfig)
    except UserError as error:
        assert str(file) in str(error)


fractions = st.floats(min_value=0, max_value=1, exclude_min=True)
ids = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,12}\Z")
positive, texts = st.integers(1, 10**12), st.text(max_size=30)


@st.composite
def runs(draw) -> RunConfig:
    """Any valid run."""
    sets = draw(st.lists(ids, min_size=3, max_size=30, unique=True))
    cut = draw(st.integers(2, len(sets) - 1))
    grid = sorted(draw(st.sets(fractions, min_size=1, max_size=15)))
    methods = draw(st.sampled_from([{"snip": None}, {"wanda": None}, {}]))
    return RunConfig.model_validate(
        {
            "name": draw(ids),
            "registry": {"datasets": draw(st.lists(texts, max_size=2)), "models": draw(st.lists(texts, max_size=2))},
            "models": draw(st.lists(ids, min_size=1, max_size=4, unique=True)),
            "datasets": {
                "safety": sets[:cut],
                "utility": sets[cut:],
                "n_samples": draw(positive),
                "seed": draw(positive),
            },
            "responses": {
                "policy": draw(st.sampled_from(["model", "dataset", "template"])),
                "template": draw(texts.filter(bool)),
            },
            "methods": methods,
            "thresholds": {"grid": grid, "q": draw(st.sampled_from(grid)), "p": draw(st.sampled_from(grid))},
            "overlap": {"n_orders": draw(positive)},
            # One prompt has no halves.
            "replicates": draw(st.sampled_from([None, {"splits": 0, "seeds": 2}])),
        }
    )


@given(run=runs())
def test_every_run_survives_being_written_and_read(tmp_path_factory, run):
    file = tmp_path_factory.mktemp("round") / "run.yaml"
    file.write_text(demo_yaml(run))
    assert load_run(yaml.safe_load(file.read_text()), [file], {}) == run


def test_nothing_heavy_is_imported():
    heavy = "{'torch', 'transformers', 'datasets', 'pandas', 'numpy', 'matplotlib'}"
    code = f"import safety_regions.config.load, sys; print(sorted(set(sys.modules) & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
