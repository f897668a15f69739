"""Configuration and registries: keys and values, thresholds."""

from itertools import pairwise
from pathlib import Path

import yaml
from case import Deed, bad, command, fine

from safety_regions.config.load import load_registries, load_run

REST = "licence: MIT, citation: none"
DATASETS = f"""\
bad: {{source: {{kind: synthetic, name: bad}}, {REST}}}
worse: {{source: {{kind: synthetic, name: worse}}, {REST}}}
chores: {{source: {{kind: synthetic, name: chores}}, {REST}}}
"""
RUN = """\
registry: {datasets: [datasets.yaml], models: [models.yaml]}
models: [tiny]
datasets: {safety: [bad, worse], utility: [chores]}
"""
CONFIG = [
    ("an unknown key", "thresholds: {quantile: 1}", "thresholds.quantile: found an unknown key", "run.yaml, line 4"),
    ("a key at the wrong place", "q: 0.01", "q: found an unknown key", "did you mean thresholds.q?"),
    ("a key twice", "name: a\nname: b", "name: found this key twice, first in line 4", "run.yaml, line 5"),
    ("nothing after a colon", "thresholds:", "thresholds: found nothing after the colon", "run.yaml, line 4"),
    (
        "a tab for indentation",
        "thresholds:\n\tq: 0.1",
        "found text that is not YAML: while scanning for the next token, found character that cannot start any token",
        "run.yaml, line 5",
    ),
    ("a mapping where a list belongs", "machine: [1]", "machine: found a list of 1: [1]", "run.yaml, line 4"),
    ("a fraction as a percentage", "thresholds: {q: 5}", "thresholds.q: found the number 5", "5% is 0.05"),
    (
        "expressions that snakemake would run",
        "__use_yte__: true",
        "__use_yte__: found code, which snakemake runs as it reads the file",
        "run.yaml, line 4",
    ),
    ("a bare yes", "methods: {snip: yes}", "methods.snip: found true (written yes)", "a mapping or null"),
    (
        "every method left out",
        "methods: {snip: null, wanda: null, safeneuron: null, safelayer: null, nlsr: null}",
        "methods: found every method left out",
        "run.yaml, line 4",
    ),
    ("a name with a path in it", "name: ../../etc", 'name: found the text "../../etc"', "a name of 1 to 64 letters"),
    ("batches of no tokens", "machine: {batch_tokens: 0}", "machine.batch_tokens: found the number 0", "1 or more"),
    (
        "an infinite number",
        "machine: {gpu_memory_gb: .inf}",
        "machine.gpu_memory_gb: found the number inf (written .inf)",
        "run.yaml, line 4",
    ),
]
THRESHOLDS = [
    (
        "q not in the grid",
        "thresholds: {q: 0.04}",
        "thresholds.q: found values that do not fit together:"
        " q = 0.04 is not in the grid [0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2]",
        "run.yaml, line 4",
    ),
    (
        "fine-tuning of a model that the run has not",
        "constrain: {models: [tiny-lama]}",
        "found values that do not fit together: constrain.models has what this run has not in models: tiny-lama",
        "the configuration",
    ),
    (
        "a dose not in the grid",
        "evaluate: {doses: [0.04]}",
        "found values that do not fit together:"
        " evaluate.doses: 0.04 not in the grid [0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2]",
        "the configuration",
    ),
    ("an empty grid", "thresholds: {grid: []}", "thresholds.grid: found an empty list", "run.yaml, line 4"),
    ("a fraction of 0", "thresholds: {grid: [0, 0.05]}", "thresholds.grid.0: found the number 0", "a number in (0, 1]"),
    (
        "a fraction above 1",
        "thresholds: {grid: [0.05, 1.5]}",
        "thresholds.grid.1: found the number 1.5",
        "a number in (0, 1]",
    ),
    ("a negative fraction", "thresholds: {p: -0.05}", "thresholds.p: found the number -0.05", "a number in (0, 1]"),
    (
        "a grid that does not ascend",
        "thresholds: {grid: [0.2, 0.05]}",
        "thresholds.grid: found values that do not fit together: grid must ascend without repeats, found [0.2, 0.05]",
        "run.yaml, line 4",
    ),
    (
        "a fraction that is NaN",
        "thresholds: {q: .nan}",
        "thresholds.q: found the number nan (written .nan)",
        "only finite numbers count",
    ),
]
DATASET_ENTRIES = [
    (
        "a branch where a commit belongs",
        f"x: {{source: {{kind: hub, id: o/n, revision: main, split: train}}, {REST}}}",
        'x.source.revision: found the text "main"',
        "datasets.yaml, line 4",
    ),
    (
        "a Hub id with a path in it",
        f"x: {{source: {{kind: hub, id: ../n, revision: {'0a' * 20}, split: train}}, {REST}}}",
        'x.source.id: found the text "../n"',
        "organisation/name",
    ),
    (
        "a folder that leads out of its repository",
        f"x: {{source: {{kind: hub, id: o/n, revision: {'0a' * 20}, data_dir: data/../../x, split: train}}, {REST}}}",
        'x.source.data_dir: found the text "data/../../x"',
        "a folder inside the repository",
    ),
    (
        "a folder that is none of the repository",
        f"x: {{source: {{kind: hub, id: o/n, revision: {'0a' * 20}, data_dir: /etc, split: train}}, {REST}}}",
        'x.source.data_dir: found the text "/etc"',
        "datasets.yaml, line 4",
    ),
    (
        "an id with a path in it",
        f"../x: {{source: {{kind: synthetic, name: a}}, {REST}}}",
        '../x: found the key text "../x"',
        "datasets.yaml, line 4",
    ),
    (
        "an address that is no HTTP",
        f"x: {{source: {{kind: url, url: 'file:///etc/passwd', sha256: {'0a' * 32}, format: csv}}, {REST}}}",
        'x.source.url: found the text "file:///etc/passwd"',
        "http:// or https://",
    ),
    (
        "a sha256 that is too short",
        f"x: {{source: {{kind: url, url: 'https://h/f', sha256: abc, format: csv}}, {REST}}}",
        'x.source.sha256: found the text "abc"',
        "64 digits",
    ),
    (
        "no licence",
        "x: {source: {kind: synthetic, name: a}, citation: none}",
        "x.licence: found no such key",
        "datasets.yaml, line 4",
    ),
]
MODEL_ENTRIES = [
    (
        "an unknown dtype",
        f"x: {{source: {{kind: tiny, family: llama}}, dtype: int8, {REST}}}",
        'x.dtype: found the text "int8"',
        "models.yaml, line 2",
    ),
    (
        "a template without a place for the prompt",
        f"x: {{source: {{kind: tiny, family: llama}}, plain_template: 'Q:', {REST}}}",
        'x.plain_template: found the text "Q:"',
        "models.yaml, line 2",
    ),
    (
        "a base that no registry has",
        f"x: {{source: {{kind: aligned, base: tinny, harmful: [bad], harmless: [chores]}}, {REST}}}",
        'x.source.base: found the id "tinny", which no registry has',
        "did you mean 'tiny'?",
    ),
    (
        "a model that rests on itself",
        f"x: {{source: {{kind: aligned, base: x, harmful: [bad], harmless: [chores]}}, {REST}}}",
        "x.source.base: found a circle: x -> x",
        "models.yaml, line 2",
    ),
]


def load() -> None:
    """As snakemake's start does, from the files of the current folder."""
    try:
        merged = yaml.safe_load(Path("run.yaml").read_text())
    except yaml.YAMLError:
        merged = {}
    load_registries(load_run(merged, ["run.yaml"], {}), ["run.yaml"], {})


def written(**more: str) -> Deed:
    """A sound run with more lines in one of its files."""
    files = {"run": RUN, "datasets": DATASETS, "models": f"tiny: {{source: {{kind: tiny, family: llama}}, {REST}}}\n"}
    for name, text in files.items():
        Path(f"{name}.yaml").write_text(text + more.get(name, ""))
    return load


def _listed(topic: str, file: str, entries: list[tuple[str, str, str, str]]) -> None:
    for what, text, says, names in entries:
        bad(topic, what, says=says, names=names)(lambda text=text: written(**{file: text + "\n"}))


_listed("configuration", "run", CONFIG)
_listed("thresholds", "run", THRESHOLDS)
_listed("registries", "datasets", DATASET_ENTRIES)
_listed("registries", "models", MODEL_ENTRIES)


@bad(
    "configuration",
    "one safety set for a report",
    says="datasets.safety: found one set",
    names="run.yaml, line 3",
)
def one_safety_set():
    deed = written()
    Path("run.yaml").write_text(RUN.replace("bad, worse", "bad"))
    return deed


@bad(
    "configuration",
    "no utility set for refined regions",
    says="datasets.utility: found no set",
    names="set goal to `regions`",
)
def no_utility_set():
    deed = written(run="goal: refined\n")
    Path("run.yaml").write_text(Path("run.yaml").read_text().replace("[chores]", "[]"))
    return deed


@bad(
    "configuration",
    "a file that is not UTF-8",
    says="found a byte that is not UTF-8, 9 bytes into the file",
    names="latin.yaml",
)
def latin():
    Path("latin.yaml").write_bytes(b"name: caf\xe9\n")
    return lambda: command("status", "--configfile", "latin.yaml")


@bad(
    "configuration",
    "a few lines of aliases that stand for millions of values",
    says="d: found more than 10000 values",
    names="bomb.yaml, line 4",
)
def aliases():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in pairwise("abcdefgh")]
    Path("bomb.yaml").write_text("\n".join(lines))
    return lambda: command("status", "--configfile", "bomb.yaml")


@bad("configuration", "no such file", says="cannot be read: No such file or directory", names="nowhere.yaml")
def nowhere():
    return lambda: command("status", "--configfile", "nowhere.yaml")


@bad(
    "registries",
    "a registry that is not there",
    says="registry.models.0: found models.yaml, which is not a file",
    names="run.yaml, line 1",
)
def without_models():
    deed = written()
    Path("models.yaml").unlink()
    return deed


@fine("configuration", "a sound run", gives="it is read: the cases above fail for what is wrong in them alone")
def sound():
    return written()
