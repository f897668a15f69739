"""Bytes of today's code against those recorded for its versions: whoever changes the one must raise the other.

After raising a version, record the new bytes: `python tests/artifacts/test_golden.py`, or of one kind alone
`python tests/artifacts/test_golden.py overlap`.
Bytes that changed at an unchanged version are not recorded without `--even-so`.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# It is a command, too.
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from golden_artifacts import CLOSE, MAKERS, Described, differences, make

from safety_regions.artifacts import kinds
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config import method_catalogue
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.constraining import table as constraining_table
from safety_regions.data import fetch
from safety_regions.data import sample as sampling
from safety_regions.evaluation import table
from safety_regions.methods import nlsr, safelayer, safeneuron, snip, wanda
from safety_regions.methods.interface import method
from safety_regions.models import adapter_training, behaviour
from safety_regions.models.outcomes import Outcome
from safety_regions.models.sources import tiny
from safety_regions.overlap import replicates, tables
from safety_regions.regions import top_fractions
from safety_regions.report.figures import iou_matrix
from safety_regions.steps import across as across_step
from safety_regions.steps import alignment as alignment_step
from safety_regions.steps import constrain as constrain_step
from safety_regions.steps import draw_figures as curves_step
from safety_regions.steps import overlap as overlap_step
from safety_regions.steps import prompt_overlap as prompt_overlap_step
from safety_regions.steps import refine as refine_step
from safety_regions.steps import report as report_step
from safety_regions.steps import respond as respond_step

GOLDEN = Path(__file__).with_name("golden.json")
NAMES = [*CATALOGUE, *VERSIONS]
"""Every method, for its statistics and regions, and every other kind."""


def versions_of(name: str) -> dict[str, int]:
    """What stands in the recipes of a kind; those of regions also have the version of selection."""
    if name in CATALOGUE:
        return {name: CATALOGUE[name].version, "selection": VERSIONS["selection"]}
    return {name: VERSIONS[name]}


def where(name: str) -> str:
    """The place of a version, for whoever is to raise it."""
    if name in CATALOGUE:
        return f'the version {CATALOGUE[name].version} of CATALOGUE["{name}"] in {method_catalogue.__file__}'
    return f'the version {VERSIONS[name]} of VERSIONS["{name}"] in {kinds.__file__}'


def command(name: str) -> str:
    return f"`python tests/artifacts/test_golden.py {name}`"


def problem(name: str, records: Mapping[str, dict], files: Mapping[str, Described]) -> str | None:
    """What is wrong with a kind whose artifacts are these files today, and what to do; None if nothing is."""
    if name not in records:
        return f"{name} has no golden record; record its bytes: {command(name)}"
    recorded, today = records[name]["versions"], versions_of(name)
    if recorded != today:
        return (
            f"{name} is of version {today} but its golden record of {recorded}; record the new bytes: {command(name)}"
        )
    changed = differences(records[name]["files"], files)
    if not changed:
        return None
    or_selection = f", or, if it is how regions follow from scores, {where('selection')}" if name in CATALOGUE else ""
    return (
        f"the bytes of {name} changed, but its version did not: {', '.join(changed)}. If that is meant, raise "
        f"{where(name)}{or_selection}, and record the new bytes: {command(name)}"
    )


def strays(records: Mapping[str, dict]) -> list[str]:
    """Recorded names that are no kind and no method any more."""
    return [name for name in records if name not in NAMES]


def load() -> dict[str, dict]:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def record(
    records: Mapping[str, dict], made: Mapping[str, Mapping[str, Described]], even_so: bool
) -> tuple[dict, list[str]]:
    """The records with what was made, and why some is refused: its bytes changed and its version did not."""
    new, refused = {name: of for name, of in records.items() if name in NAMES}, []
    for name, files in made.items():
        told = problem(name, records, files)
        same_version = name in records and records[name]["versions"] == versions_of(name)
        if told and same_version and not even_so:
            refused.append(told)
        elif told:
            new[name] = {"versions": versions_of(name), "files": dict(files)}
    return {name: new[name] for name in NAMES if name in new}, refused


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Record the bytes of today's code in tests/artifacts/golden.json.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(NAMES)}")
    parser.add_argument(
        "--even-so",
        action="store_true",
        help="record changed bytes at an unchanged version: results that exist are then no longer what this code makes",
    )
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.names if name not in NAMES]:
        parser.error(f"no kind or method: {', '.join(unknown)}")
    records, refused = record(
        load() if GOLDEN.exists() else {}, {n: made_today(n) for n in asked.names or NAMES}, asked.even_so
    )
    GOLDEN.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    print("".join(f"not recorded: {told}\n" for told in refused), end="", file=sys.stderr)
    return 1 if refused else 0


def made_today(name: str) -> dict[str, Described]:
    with tempfile.TemporaryDirectory() as folder:
        return make(name, Path(folder))


@pytest.mark.parametrize("name", NAMES)
def test_bytes_change_with_the_version_and_only_then(name: str, tmp_path: Path) -> None:
    told = problem(name, load(), make(name, tmp_path))
    if told:
        pytest.fail(told, pytrace=False)


def test_every_kind_is_made_and_recorded_and_no_other() -> None:
    assert set(MAKERS) == set(VERSIONS), "tests/support/golden_artifacts.py: MAKERS has one maker for each of VERSIONS"
    assert not set(CATALOGUE) & set(VERSIONS), "a method and a kind of one name would have one record"
    assert not strays(load()), f"no kind and no method: {strays(load())}; run `python tests/artifacts/test_golden.py`"
    assert set(load()) == set(NAMES), "some are not recorded; run `python tests/artifacts/test_golden.py`"


Change = Callable[[Any], Any]
CHANGES: list[tuple[str, ModuleType, str, Change, set[str]]] = [
    ("snip", snip, "score", lambda of: lambda w, s: of(w, s.sqrt()), {"0.region.safetensors"}),
    ("wanda", wanda, "sum_of_squares", lambda of: lambda x: 1.01 * of(x), {"0.statistics.safetensors"}),
    ("wanda", wanda, "score", lambda of: lambda w, s: of(w, s.square()), {"0.region.safetensors"}),
    ("safeneuron", safeneuron, "output_products", lambda of: lambda *x: 1.01 * of(*x), {"0.statistics.safetensors"}),
    (
        "safelayer",
        safelayer,
        "find_range",
        lambda of: lambda *x, **of_refusals: replace(of(*x, **of_refusals), first=0, last=3),
        {"0.statistics.safetensors", "0.region.safetensors", "0.region.safetensors.receipt.json"},
    ),
    ("nlsr", nlsr, "score_a", lambda of: lambda a, gram, kept: of(a, gram, kept - 1), {"0.region.safetensors"}),
    ("dataset", fetch, "map_rows", lambda of: lambda *x: (of(*x)[0][::-1], of(*x)[1]), {"csv.jsonl", "txt.jsonl"}),
    (
        "prompts",
        sampling,
        "seeded_order",
        lambda of: lambda rows, seed: of(rows, seed + 1),
        {"none.jsonl", "across.jsonl"},
    ),
    (
        "prompt_overlap",
        prompt_overlap_step,
        "prompt_overlap",
        lambda of: lambda *x: of(*x).assign(more=0),
        {"overlap.csv"},
    ),
    ("model", tiny, "LEARNING_RATE", lambda rate: 1.1 * rate, {f"{family}/model.safetensors" for family in tiny.HEADS}),
    ("model", tiny, "WINDOW", lambda size: size + 1, {"mistral/config.json", "gemma2/config.json"}),
    (
        "pairs",
        respond_step,
        "outcome_of",
        lambda of: lambda *x: Outcome.ANSWERS,
        {"dataset.jsonl", "template.jsonl"},
    ),
    (
        "selection",
        top_fractions,
        "top_levels",
        lambda of: lambda x, *cut: of(x[:, ::-1].copy(), *cut)[:, ::-1],
        {"row.safetensors", "matrix.safetensors"},
    ),
    ("refined", refine_step, "union", lambda of: lambda parts: of(parts[:1]), {"weight.safetensors"}),
    ("adapter", adapter_training, "HARMLESS_SHARE", lambda share: 0.5, {"adapter/lora.safetensors"}),
    (
        "overlap",
        tables,
        "_pair_columns",
        lambda of: lambda *x: of(*x) | {"floor_iou": 0 * of(*x)["floor_iou"]},
        {"weight/pairs.parquet", "layer/pairs.parquet"},
    ),
    (
        "overlap",
        overlap_step,
        "size_table",
        lambda of: lambda *x: of(*x).assign(more=0),
        {"weight/sizes.parquet", "layer/sizes.parquet"},
    ),
    ("replicates", replicates, "shared", lambda of: lambda a, b: of(a, b) / 2, {"replicates/replicates.parquet"}),
    ("across", across_step, "compare", lambda of: lambda *x: of(*x).assign(more=0), {"across/across.csv"}),
    (
        "alignment",
        alignment_step,
        "compare",
        lambda of: lambda *x: of(*x).assign(more=0),
        {"weight/alignment.parquet", "layer/alignment.parquet"},
    ),
    (
        "evaluate",
        table,
        "COLUMNS",
        lambda names: [*names, "more"],
        {"weight/evaluate.csv", "merged/evaluate.csv"},
    ),
    ("evaluate", behaviour, "response_loss", lambda of: lambda *x: replace(of(*x), loss=3.0), {"neuron/evaluate.csv"}),
    (
        "constrain",
        constraining_table,
        "COLUMNS",
        lambda names: [*names, "more"],
        {"weight.refined/constrain.csv", "layer.rewound/constrain.csv"},
    ),
    ("constrain", constrain_step, "moved", lambda of: lambda *x: of(*x)[1:], {"weight.refined/moved.csv"}),
    (
        "figures",
        iou_matrix,
        "_title",
        lambda of: lambda *x: of(*x).upper(),
        {"figures/iou_matrix.pdf", "figures/iou_matrix.png"},
    ),
    (
        "layer_curves",
        curves_step,
        "gap_table",
        lambda of: lambda *x: of(*x).assign(gap=0.1),
        {"curves/gap.csv", "curves/gap.pdf"},
    ),
    ("report", report_step, "summary", lambda of: lambda *x: of(*x) + "More.\n", {"report/summary.md"}),
    ("report", report_step, "write_metrics", lambda of: lambda *x: None, {"report/metrics.json (gone)"}),
]
"""Of each kind a change that somebody might make: where, what becomes of it, and some files where it must be seen.
Those of one kind are made at once, since they are seen in different files."""


def emptied(levels: Change) -> Change:
    """A change that can be made to any method: nothing is inside any fraction."""
    return lambda *x, **needs: ((name, 0 * matrix) for name, matrix in levels(*x, **needs))


@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_each_kind_is_told_with_its_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = [rest for kind, *rest in CHANGES if kind == name]
    if not changes and name in CATALOGUE:
        changes = [[method(name), "levels", emptied, {"0.region.safetensors"}]]
    assert changes, "no change is tried of this kind"
    for module, attribute, change, _ in changes:
        monkeypatch.setattr(module, attribute, change(getattr(module, attribute)))
    expected = {file for *_, files in changes for file in files}
    records, made = load(), make(name, tmp_path)
    assert expected <= set(differences(records[name]["files"], made))
    told = problem(name, records, made) or ""
    assert all(file in told for file in expected) and command(name) in told
    assert f'"{name}"' in told and f"version {versions_of(name)[name]}" in told


RECORD = {
    "overlap": {
        "versions": {"overlap": VERSIONS["overlap"]},
        "files": {"a": "1", "b": {"sha256": "2", "numbers": {"x": [3.0, 0.0]}}},
    }
}
SAME = RECORD["overlap"]["files"]


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (SAME, []),
        (SAME | {"b": {"sha256": "2", "numbers": {"x": [3.0001, 0.0001]}}}, []),
        (SAME | {"b": {"sha256": "2", "numbers": {"x": [3.01, 0.0]}}}, ["b"]),
        (SAME | {"b": {"sha256": "2", "numbers": {"y": [3.0, 0.0]}}}, ["b"]),
        (SAME | {"b": {"sha256": "3", "numbers": {"x": [3.0, 0.0]}}}, ["b"]),
        (SAME | {"b": "2"}, ["b"]),
        (SAME | {"c": "1"}, ["c (new)"]),
        ({"a": "1"}, ["b (gone)"]),
    ],
)
def test_only_what_is_near_is_the_same(files: dict, named: list[str]) -> None:
    assert differences(SAME, files) == named


def test_numbers_that_are_products_in_float64_are_held_to_a_closer_tolerance() -> None:
    recorded = {"a": {"sha256": "1", "numbers": {"x": [1.0, 0.5]}, "tolerance": CLOSE}}
    for off, named in ((1e-12, []), (1e-8, ["a"])):
        assert differences(recorded, {"a": recorded["a"] | {"numbers": {"x": [1.0 + off, 0.5]}}}) == named


def test_without_a_record_or_of_another_version_it_is_to_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no golden record" in (problem("overlap", {}, SAME) or "")
    monkeypatch.setitem(VERSIONS, "overlap", VERSIONS["overlap"] + 1)
    told = problem("overlap", RECORD, SAME) or ""
    assert "record the new bytes: `python tests/artifacts/test_golden.py overlap`" in told


def test_a_kind_that_is_no_more_is_told_and_its_record_dropped() -> None:
    records = RECORD | {"underlap": RECORD["overlap"]}
    assert strays(records) == ["underlap"]
    assert record(records, {}, even_so=False) == (RECORD, [])


def test_changed_bytes_of_an_unchanged_version_are_recorded_only_even_so(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {"overlap": SAME | {"a": "4"}}
    kept, refused = record(RECORD, changed, even_so=False)
    assert kept == RECORD and len(refused) == 1 and "raise the version" in refused[0]
    assert record(RECORD, changed, even_so=True)[0]["overlap"]["files"]["a"] == "4"
    monkeypatch.setitem(VERSIONS, "overlap", VERSIONS["overlap"] + 1)
    new, refused = record(RECORD, changed, even_so=False)
    assert (new["overlap"]["files"]["a"], new["overlap"]["versions"], refused) == ("4", versions_of("overlap"), [])


def test_the_command_leaves_the_record_alone_and_fails_when_it_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / "golden.json"
    file.write_text(json.dumps(RECORD))
    monkeypatch.setattr(sys.modules[__name__], "GOLDEN", file)
    monkeypatch.setattr(sys.modules[__name__], "made_today", lambda name: SAME | {"a": "4"})
    assert main(["overlap"]) == 1 and "raise the version" in capsys.readouterr().err
    assert load() == RECORD
    assert main(["overlap", "--even-so"]) == 0
    assert load()["overlap"]["files"]["a"] == "4"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
