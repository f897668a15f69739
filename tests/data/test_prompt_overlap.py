"""The prompt overlap table against a count of all pairs, and the scripts from rows to table."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.artifacts.recipe import Recipe
from safety_regions.data.duplicates import jaccard, normalise, words_of
from safety_regions.data.prompt_overlap import prompt_overlap
from safety_regions.planning.recipes.data import OfSet, PromptOverlapRecipe, prompts_recipe

SCRIPTS = Path(__file__).parents[2] / "scripts"
words = st.lists(st.sampled_from(["red", "green", "Blue", "old", "new?"]), min_size=1, max_size=4).map(" ".join)
sets = st.dictionaries(st.sampled_from("xyz"), st.lists(words, min_size=1, max_size=6), min_size=1)


def rows_of(prompts: list[str], name: str = "toy") -> list[dict]:
    return [{"id": f"{name}-{i:06d}", "prompt": prompt, "response": None} for i, prompt in enumerate(prompts)]


def near(a: list[str], b: list[str], threshold: float, itself: bool) -> float:
    """The share of a's prompts with a near duplicate in b, by comparing all pairs."""
    hits = [
        any(jaccard(words_of(p), words_of(q)) >= threshold for j, q in enumerate(b) if not (itself and i == j))
        for i, p in enumerate(a)
    ]
    return sum(hits) / len(a)


@settings(deadline=None)
@given(sets, st.sampled_from([0.3, 0.6, 1.0]))
def test_every_pair_agrees_with_comparing_all_prompts(texts, threshold):
    table = prompt_overlap({name: rows_of(prompts) for name, prompts in texts.items()}, threshold)
    assert len(table) == len(texts) * (len(texts) + 1) // 2
    for row in table.itertuples():
        a, b = texts[row.a], texts[row.b]
        assert (row.n_a, row.n_b) == (len(a), len(b))
        assert row.near_a == near(a, b, threshold, row.a == row.b)
        assert row.near_b == near(b, a, threshold, row.a == row.b)
        distinct_a, distinct_b = {normalise(p) for p in a}, {normalise(p) for p in b}
        assert row.exact == (len(a) - len(distinct_a) if row.a == row.b else len(distinct_a & distinct_b))


def run_script(name: str, recipe: Recipe, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPTS / name), "--recipe", json.dumps(recipe.as_json()), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def rows(tmp_path) -> dict[str, Path]:
    """Two sets of rows with receipts, sharing one prompt."""
    content = {"a": ["paint the fence", "wash the car", "feed the cat"], "b": ["Wash the car!", "sing a song", "run"]}
    for name, prompts in content.items():
        files.write_jsonl(tmp_path / f"{name}.jsonl", rows_of(prompts, name))
        receipts.write(tmp_path / f"{name}.jsonl", {"kind": "dataset", "dataset": name}, {})
    return {name: tmp_path / f"{name}.jsonl" for name in content}


def sample_both(rows: dict[str, Path], folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    paths, digests = {}, {}
    for name, path in rows.items():
        recipe = prompts_recipe(name, receipts.read(path).digest, n_samples=3, seed=0)
        paths[name], digests[name] = folder / f"{name}.sample.jsonl", recipe.digest
        done = run_script("sample_prompts.py", recipe, "--rows", str(path), "--output", str(paths[name]))
        assert done.returncode == 0, done.stderr
    return paths, digests


def test_the_scripts_lead_from_rows_to_the_same_table_twice(rows, tmp_path):
    paths, digests = sample_both(rows, tmp_path)
    recipe = PromptOverlapRecipe(prompts=[OfSet(*of) for of in digests.items()], near_duplicate=0.6)
    named = [f"{name}={path}" for name, path in paths.items()]
    for output in ("one.csv", "two.csv"):
        done = run_script("prompt_overlap.py", recipe, "--prompts", *named, "--output", str(tmp_path / output))
        assert done.returncode == 0, done.stderr
    table = (tmp_path / "one.csv").read_bytes()
    assert table == (tmp_path / "two.csv").read_bytes()
    assert b"a,b,3,3,1,0.333333,0.333333\n" in table
    assert receipts.check(tmp_path / "one.csv", recipe.digest).facts == {"n_pairs": 3}


def test_a_sample_across_sets_leaves_out_what_the_earlier_set_has(rows, tmp_path):
    earlier = [receipts.read(rows["a"]).digest]
    recipe = prompts_recipe(
        "b", receipts.read(rows["b"]).digest, n_samples=2, seed=0, deduplicate="across", earlier=earlier
    )
    output = tmp_path / "out.jsonl"
    arguments = ("--rows", str(rows["b"]), "--earlier", str(rows["a"]), "--output", str(output))
    done = run_script("sample_prompts.py", recipe, *arguments)
    assert done.returncode == 0, done.stderr
    assert {row["prompt"] for row in files.read_jsonl(output)} == {"sing a song", "run"}
    assert receipts.check(output).facts == {"n_source_rows": 3, "n_rows": 2, "n_repeats": 0}
    done = run_script("sample_prompts.py", replace(recipe, n_samples=3), *arguments)
    assert done.returncode == 1
    assert "2 prompts after de-duplication (of 3)" in done.stderr and "dataset b" in done.stderr


def test_repeats_in_a_sample_are_counted_and_warned_of(tmp_path):
    path, output = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    files.write_jsonl(path, rows_of(["wash the car", "Wash the car!", "sing a song", "wash, the car"]))
    receipts.write(path, {"kind": "dataset", "dataset": "toy"}, {})
    recipe = prompts_recipe("toy", receipts.read(path).digest, n_samples=4, seed=0)
    done = run_script("sample_prompts.py", recipe, "--rows", str(path), "--output", str(output))
    assert receipts.check(output).facts == {"n_source_rows": 4, "n_rows": 4, "n_repeats": 2}
    assert done.stderr.splitlines() == [
        "warning: dataset toy: 2 of 4 prompts repeat one before them; `datasets.deduplicate: within` drops such prompts"
    ]


def test_a_sample_apart_from_others_repeats_none_of_them_and_near_ones_are_warned_of(rows, tmp_path):
    """What they are apart from is checked as rows are."""
    apart = [receipts.read(rows["a"]).digest]
    recipe = prompts_recipe("b", receipts.read(rows["b"]).digest, n_samples=2, seed=0, apart_from=apart)
    output = tmp_path / "out.jsonl"
    arguments = ("--rows", str(rows["b"]), "--output", str(output))
    done = run_script("sample_prompts.py", recipe, *arguments, "--apart", str(rows["a"]))
    assert (done.returncode, done.stderr) == (0, "")
    assert {row["prompt"] for row in files.read_jsonl(output)} == {"sing a song", "run"}
    facts = {"n_source_rows": 3, "n_rows": 2, "n_repeats": 0, "n_left_out": 1, "n_near": 0}
    assert receipts.check(output).facts == facts
    near = replace(recipe, near_duplicate=0.1)
    files.write_jsonl(rows["a"], rows_of(["wash the car", "sing a hymn"]))
    receipts.write(rows["a"], {"kind": "dataset", "dataset": "a"}, {})
    done = run_script("sample_prompts.py", near, *arguments, "--apart", str(rows["a"]))
    assert receipts.check(output).facts == facts | {"n_near": 1}
    assert "warning: dataset b: 1 of 2 prompts nearly repeat one that regions are identified from" in done.stderr
    assert run_script("sample_prompts.py", recipe, *arguments).stderr.startswith("error: 0 files")
    foreign = replace(recipe, apart_from=["0" * 64])
    assert run_script("sample_prompts.py", foreign, *arguments, "--apart", str(rows["a"])).returncode == 1


def test_altered_or_foreign_inputs_are_refused_and_nothing_is_written(rows, tmp_path):
    output = tmp_path / "out.jsonl"
    foreign = prompts_recipe("a", "0" * 64, n_samples=1, seed=0)
    done = run_script("sample_prompts.py", foreign, "--rows", str(rows["a"]), "--output", str(output))
    assert (done.returncode, "expected: recipe 000000000000" in done.stderr) == (1, True)
    recipe = prompts_recipe("a", receipts.read(rows["a"]).digest, n_samples=1, seed=0)
    rows["a"].write_bytes(rows["a"].read_bytes().replace(b"cat", b"dog"))
    done = run_script("sample_prompts.py", recipe, "--rows", str(rows["a"]), "--output", str(output))
    assert (done.returncode, "altered or damaged" in done.stderr) == (1, True)
    assert not output.exists() and "Traceback" not in done.stderr
