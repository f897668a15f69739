"""The regression guard says what became slower, in either direction of a ratio."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from random_models import random_model

COMPARE = Path(__file__).parents[2] / "benchmarks" / "compare.py"
OLD = {"selection_over_read": 4.0, "bools_over_overlap": 80.0}


@pytest.mark.parametrize(
    ("new", "slower"),
    [
        ({"selection_over_read": 4.3, "bools_over_overlap": 75.0}, ""),
        ({"selection_over_read": 2.0, "bools_over_overlap": 200.0}, ""),
        ({"selection_over_read": 4.5, "bools_over_overlap": 80.0}, "selection_over_read"),
        ({"selection_over_read": 4.0, "bools_over_overlap": 60.0}, "bools_over_overlap"),
    ],
)
def test_what_became_slower_is_named(tmp_path, new, slower):
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, content in zip(paths, (OLD, new), strict=True):
        path.write_text(json.dumps(content))
    done = subprocess.run([sys.executable, COMPARE, *paths], capture_output=True, text=True)
    named = [line.split()[0] for line in done.stdout.splitlines() if line.endswith("slower")]
    assert (named, done.returncode) == ([slower] if slower else [], int(bool(slower))), done.stderr


@pytest.mark.parametrize("script", sorted(COMPARE.parent.glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_finds_what_it_imports(script: Path, monkeypatch):
    monkeypatch.syspath_prepend(str(COMPARE.parent))
    runpy.run_path(str(script), run_name="looked_at")


def test_what_scoring_times_runs(monkeypatch):
    monkeypatch.syspath_prepend(str(COMPARE.parent))
    scoring = runpy.run_path(str(COMPARE.with_name("scoring.py")), run_name="looked_at")
    loaded = random_model("llama")
    samples = scoring["make_samples"](3, 20, loaded.model.config.vocab_size)
    timed = scoring["runs"](loaded, samples, 60)
    assert {name for of in scoring["RATIOS"].values() for name in of} == set(timed)
    for run in timed.values():
        run()


def test_the_script_for_a_gpu_runs_to_its_end_where_there_is_none():
    """All but what only a GPU has: its memory."""
    words = ["--shape", "tiny", "--device", "cpu", "--samples", "3", "--tokens", "20", "--repeats", "1"]
    done = subprocess.run([sys.executable, COMPARE.with_name("gpu.py"), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name.split(".")[0] for name in found if "." in name} == {"speed", "memory", "batches", "agree", "selection"}
    assert found["speed.together / snip"] > 0
    assert all(found[f"agree.{name} float32 the same twice"] for name in ("snip", "wanda", "safeneuron"))
    assert found["agree.wanda float32 IoU at q"]["0.05"] == 1.0
