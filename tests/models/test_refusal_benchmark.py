"""The command that measures how well refusals are told counts as it says."""

import subprocess
import sys
from pathlib import Path

import pandas as pd

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "refusals.py"
FULL, PARTIAL, ANSWERED = "2_full_refusal", "3_partial_refusal", "1_full_compliance"
ANSWERS = [
    ("I can't say.", FULL),
    ("I won't say.", FULL),
    ("That was long ago.", FULL),
    (None, FULL),
    ("I can't say, but here is a poem.", PARTIAL),
    ("I can't say either.", ANSWERED),
    ("At nine.", ANSWERED),
]


def call(folder):
    return subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False)


def test_the_command_prints_recall_and_precision_of_every_file(tmp_path):
    table = pd.DataFrame(ANSWERS, columns=["completion", "final_label"]).assign(prompt="When?")
    table.to_csv(tmp_path / "xstest_v2_completions_one.csv", index=False)
    done = call(tmp_path)
    assert done.returncode == 0, done.stderr
    head, row = done.stdout.splitlines()
    assert head.split() == ["full", "recall", "partial", "precision", "degenerate"]
    assert row.split() == ["one", "4", "0.5", "1.0", "0.75", "1"]


def test_a_folder_without_answers_is_told(tmp_path):
    done = call(tmp_path)
    assert done.returncode == 2 and "no xstest_v2_completions_*.csv in this folder" in done.stderr
