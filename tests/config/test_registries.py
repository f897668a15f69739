"""Registry entries are checked one by one, and against the run that uses them."""

from pathlib import Path

import pytest
import yaml

from safety_regions.config.load import load_registries, load_run
from safety_regions.errors import UserError
from safety_regions.share.prune import run_configs

ROOT = Path(__file__).parents[2]
REST = "licence: MIT, citation: none"
DATASETS = f"""\
bad: {{source: {{kind: synthetic, name: bad}}, {REST}}}
worse: {{source: {{kind: synthetic, name: worse}}, {REST}}}
file: {{source: {{kind: local, path: a.csv, format: csv}}, {REST}}}
chores: {{source: {{kind: synthetic, name: chores}}, {REST}}}
"""
MODELS = f"tiny: {{source: {{kind: tiny, family: llama}}, {REST}}}\n"
RUN = """\
registry: {datasets: [datasets.yaml], models: [models.yaml]}
models: [tiny]
datasets:
  safety: [bad, worse]
  utility: [chores]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in [("datasets", DATASETS), ("models", MODELS), ("run", RUN)]:
        Path(f"{name}.yaml").write_text(text)
    return tmp_path


def load():
    run = load_run(yaml.safe_load(Path("run.yaml").read_text()), ["run.yaml"], {})
    return load_registries(run, ["run.yaml"], {})


def complaint() -> str:
    with pytest.raises(UserError) as caught:
        load()
    return str(caught.value)


def append(name: str, text: str) -> None:
    with open(f"{name}.yaml", "a") as file:
        file.write(text)


ENTRIES = [
    (
        "datasets",
        f"x: {{source: {{kind: hubb}}, {REST}}}",
        'x.source.kind: found the text "hubb"',
        "one of: hub, local, synthetic, url",
        "did you mean 'hub'?",
    ),
    (
        "datasets",
        f"x: {{source: {{name: a}}, {REST}}}",
        "x.source: found a mapping without `kind`",
        "a mapping with `kind`, one of: hub",
        "",
    ),
    ("datasets", f"x: {{source: syn, {REST}}}", 'x.source: found the text "syn"', "a mapping with `kind`", ""),
    (
        "datasets",
        f"x: {{source: {{kind: local, path: a}}, {REST}}}",
        "x.source.format: found no such key",
        "one of: csv, json, jsonl, txt, parquet",
        "add the key",
    ),
    (
        "datasets",
        "x: {source: {kind: synthetic, name: a}, licence: MIT}",
        "x.citation: found no such key",
        "text",
        "add the key",
    ),
    (
        "datasets",
        f"x: {{source: {{kind: hub, id: org, revision: main, split: train}}, {REST}}}",
        'x.source.id: found the text "org"',
        "organisation/name",
        "",
    ),
    (
        "datasets",
        f"x: {{source: {{kind: hub, id: o/n, revision: main, split: train}}, {REST}}}",
        'x.source.revision: found the text "main"',
        "a full commit: 40 digits",
        "",
    ),
    (
        "datasets",
        f"x: {{source: {{kind: url, url: 'ftp://h/f', sha256: {'0a' * 32}, format: csv}}, {REST}}}",
        "x.source.url: found",
        "http:// or https://",
        "",
    ),
    (
        "datasets",
        f"x: {{source: {{kind: synthetic, name: a}}, split: train, {REST}}}",
        "x.split: found an unknown key",
        "one of the keys: source",
        "did you mean source.split?",
    ),
    (
        "datasets",
        f"x: {{source: {{kind: synthetic, name: a}}, promt: a, {REST}}}",
        "x.promt: found an unknown key",
        "prompt",
        "did you mean 'prompt'?",
    ),
    (
        "datasets",
        f"x: {{source: {{kind: synthetic, name: a}}, prompt: [a, 3], {REST}}}",
        "x.prompt: found a list of 2: [a, 3]",
        "text or a list of text",
        "",
    ),
    (
        "datasets",
        f"x: {{source: {{kind: synthetic, name: a}}, keep: {{label: [yes]}}, {REST}}}",
        "x.keep.label.0: found true (written yes)",
        "text",
        "in quotes",
    ),
    (
        "datasets",
        f"x: {{source: {{kind: synthetic, name: a}}, rows: 1e3, {REST}}}",
        'x.rows: found the text "1e3"',
        "a whole number, 1 or more or null",
        "write 1000",
    ),
    (
        "datasets",
        f"a b: {{source: {{kind: synthetic, name: a}}, {REST}}}",
        "a b: found the key",
        "letters, digits, _ and -",
        "",
    ),
    (
        "datasets",
        f"12: {{source: {{kind: synthetic, name: a}}, {REST}}}",
        "12: found the number 12 as a key",
        "text",
        "in quotes",
    ),
    (
        "models",
        f"x: {{source: {{kind: tiny, family: gpt2}}, {REST}}}",
        "x.source.family: found",
        "one of: llama, qwen2, gemma2, mistral",
        "",
    ),
    (
        "models",
        f"x: {{source: {{kind: tiny, family: llama, hidden_size: 20}}, {REST}}}",
        "hidden_size: found the number 20",
        "16 or more, divisible by 8",
        "",
    ),
    (
        "models",
        f"x: {{source: {{kind: package, parts: [], sha256: {'0a' * 32}}}, {REST}}}",
        "x.source.parts: found an empty list",
        "at least 1 item",
        "",
    ),
    (
        "models",
        f"x: {{source: {{kind: tiny, family: llama}}, dtype: bf16, {REST}}}",
        'x.dtype: found the text "bf16"',
        "one of: float32, bfloat16, float16",
        "did you mean 'bfloat16'?",
    ),
    (
        "models",
        f"x: {{source: {{kind: aligned, base: tinny, harmful: [bad], harmless: [chores]}}, {REST}}}",
        'x.source.base: found the id "tinny"',
        "an id in",
        "did you mean 'tiny'?",
    ),
    (
        "models",
        f"x: {{source: {{kind: aligned, base: tiny, harmful: [bda], harmless: [chores]}}, {REST}}}",
        'x.source.harmful.0: found the id "bda"',
        "an id in",
        "did you mean 'bad'?",
    ),
    (
        "models",
        f"x: {{source: {{kind: aligned, base: tiny, harmful: [bad], harmless: [file]}}, {REST}}}",
        'x.source.harmless.0: found "file"',
        "a `response` column",
        "key `response`",
    ),
    (
        "models",
        f"x: {{source: {{kind: aligned, base: x, harmful: [bad], harmless: [chores]}}, {REST}}}",
        "a circle: x -> x",
        "a base that does not rest",
        "",
    ),
    (
        "models",
        f"x: {{source: {{kind: tiny, family: llama}}, before_alignment: tinny, {REST}}}",
        'x.before_alignment: found the id "tinny"',
        "an id in",
        "did you mean 'tiny'?",
    ),
    (
        "models",
        f"x: {{source: {{kind: tiny, family: llama}}, before_alignment: x, {REST}}}",
        'x.before_alignment: found "x", the model itself',
        "the model before it was aligned",
        "",
    ),
]


@pytest.mark.parametrize(("registry", "entry", "found", "allowed", "hint"), ENTRIES, ids=range(len(ENTRIES)))
def test_a_mistake_in_an_entry_is_told_with_place_and_way_out(folder, registry, entry, found, allowed, hint):
    line = Path(f"{registry}.yaml").read_text().count("\n") + 1
    append(registry, entry)
    message = complaint()
    for part in (found, f"{registry}.yaml, line {line}\n", allowed, hint):
        assert part in message + "\n"


USES = [
    ("models: [tiny]", "models: [tiny, tny]", 'models.1: found the id "tny"', 2, "did you mean 'tiny'?"),
    (
        "safety: [bad, worse]",
        "safety: [bad, wors]",
        'datasets.safety.1: found the id "wors"',
        4,
        "did you mean 'worse'?",
    ),
    (
        "utility: [chores]",
        "utility: [zzz]",
        'datasets.utility.0: found the id "zzz"',
        5,
        "known: bad, chores, file, worse",
    ),
    (
        "utility: [chores]",
        "utility: [chores]\nmethods: {safelayer: {normal: chore}}",
        'methods.safelayer.normal: found the id "chore"',
        6,
        "did you mean 'chores'?",
    ),
    (
        "utility: [chores]",
        "utility: [chores]\nmethods: {nlsr: {adapter: {harmful: [bed]}}}",
        'methods.nlsr.adapter.harmful.0: found the id "bed"',
        6,
        "did you mean 'bad'?",
    ),
    (
        "utility: [chores]",
        "utility: [chores]\nmethods: {nlsr: {adapter: {harmless: [file]}}}",
        'methods.nlsr.adapter.harmless.0: found "file", a set without responses',
        6,
        "key `response`",
    ),
    (
        "utility: [chores]",
        "utility: [chores]\nevaluate: {over_refusal: [chore]}",
        'evaluate.over_refusal.0: found the id "chore"',
        6,
        "did you mean 'chores'?",
    ),
    (
        "utility: [chores]",
        "utility: [chores]\nevaluate: {texts: [file]}",
        'evaluate.texts.0: found "file", a set without responses',
        6,
        "key `response`",
    ),
    (
        "utility: [chores]",
        "utility: [file]\nmethods: {nlsr: null}",
        'datasets.utility.0: found "file", a set without responses',
        5,
        "key `response`",
    ),
    (
        "utility: [chores]",
        "utility: [file]\nresponses: {policy: dataset}",
        'datasets.utility.0: found "file", a set without responses',
        5,
        "key `response`",
    ),
    (
        "datasets.yaml",
        "nowhere.yaml",
        "registry.datasets.0: found nowhere.yaml, which is not a file",
        1,
        "paths are relative",
    ),
]


@pytest.mark.parametrize(("old", "new", "found", "line", "hint"), USES)
def test_a_run_that_asks_for_what_is_not_there_is_told_the_line(folder, old, new, found, line, hint):
    Path("run.yaml").write_text(RUN.replace(old, new))
    message = complaint()
    assert found in message and f"run.yaml, line {line}" in message and hint in message


def test_a_circle_of_bases_is_told_once(folder):
    for name, base in [("x", "y"), ("y", "z"), ("z", "x")]:
        append(
            "models",
            f"{name}: {{source: {{kind: aligned, base: {base}, harmful: [bad], harmless: [chores]}}, {REST}}}\n",
        )
    assert "x.source.base: found a circle: x -> y -> z -> x" in complaint()
    assert complaint().count("circle") == 1


def test_an_aligned_model_may_rest_on_an_aligned_model(folder):
    for name, base in [("x", "y"), ("y", "tiny")]:
        append(
            "models",
            f"{name}: {{source: {{kind: aligned, base: {base}, harmful: [bad], harmless: [chores]}}, {REST}}}\n",
        )
    assert set(load().models) == {"tiny", "x", "y"}


def test_a_later_file_replaces_an_entry_whole(folder):
    Path("more.yaml").write_text(f"bad: {{source: {{kind: local, path: b.txt, format: txt}}, {REST}}}\n")
    Path("run.yaml").write_text(RUN.replace("[datasets.yaml]", "[datasets.yaml, more.yaml]"))
    assert load().datasets["bad"].source.kind == "local"


def test_the_registries_of_the_project_are_in_order(monkeypatch):
    monkeypatch.chdir(ROOT)
    runs = run_configs()
    assert {file.name for file in runs} >= {"demo.yaml", "small.yaml", "study.yaml"}
    for file in runs:
        assert load_registries(load_run(yaml.safe_load(file.read_text()), [file], {}), [file], {}).models


def test_of_the_utility_sets_only_those_with_responses_are_used_for_them(folder):
    Path("run.yaml").write_text(RUN.replace("utility: [chores]", "utility: [file, chores]"))
    assert set(load().datasets) == {"bad", "worse", "file", "chores"}


def test_only_safety_sets_can_be_taken_out(folder):
    Path("run.yaml").write_text(RUN + "evaluate: {sets: [chores]}\n")
    assert "evaluate has sets that datasets.safety has not: chores" in complaint()


@pytest.mark.parametrize(("first", "second"), [("Same", "Same"), ("worse", None), (None, "bad")])
def test_two_sets_of_a_run_with_one_title_are_a_mistake(folder, first, second):
    titles = {"bad": first, "worse": second}
    lines = DATASETS.splitlines(keepends=True)
    for number, (name, title) in enumerate(titles.items()):
        if title:
            lines[number] = lines[number].replace(f"{name}: {{", f"{name}: {{title: {title}, ", 1)
    Path("datasets.yaml").write_text("".join(lines))
    told = complaint()
    assert ".title" in told and "goes by in figures" in told


def test_a_title_of_a_set_that_the_run_does_not_name_may_be_anothers(folder):
    append("datasets", f"x: {{title: bad, source: {{kind: synthetic, name: bad}}, {REST}}}\n")
    assert load().datasets["x"].title == "bad"
