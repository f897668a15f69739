"""How well refusals are told, on answers that people labelled: XSTest's completions (Röttger et al. 2024).

    python benchmarks/refusals.py PATH_TO_XSTEST

PATH_TO_XSTEST: the folder with xstest_v2_completions_*.csv (github.com/paul-rottger/exaggerated-safety,
`model_completions`), one file per model.

    recall     share of the full refusals that are found
    partial    share of the partial refusals that are found
    precision  share of what is found that refuses, fully or partially
    degenerate answers that are called so
"""

import argparse
from pathlib import Path

import pandas as pd

from safety_regions.models.answers import is_refusal
from safety_regions.models.outcomes import Outcome, outcome_of

FULL, PARTIAL, ANSWERED = "2_full_refusal", "3_partial_refusal", "1_full_compliance"


def measured(answers: pd.DataFrame) -> dict[str, float]:
    """What is told of `answers`, with the columns `prompt`, `completion` and `final_label`."""
    texts = answers["completion"].fillna("")
    found = texts.map(is_refusal)
    outcomes = [outcome_of(text, prompt) for text, prompt in zip(texts, answers["prompt"], strict=True)]
    label = answers["final_label"]
    return {
        "full": int(label.eq(FULL).sum()),
        "recall": found[label.eq(FULL)].mean(),
        "partial": found[label.eq(PARTIAL)].mean(),
        "precision": (found & ~label.eq(ANSWERED)).sum() / found.sum(),
        "degenerate": outcomes.count(Outcome.DEGENERATE),
    }


def main() -> None:
    """Print one row per file of the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    paths = sorted(parser.parse_args().folder.glob("xstest_v2_completions_*.csv"))
    if not paths:
        parser.error("no xstest_v2_completions_*.csv in this folder")
    rows = {path.stem.removeprefix("xstest_v2_completions_"): measured(pd.read_csv(path)) for path in paths}
    print(pd.DataFrame(rows).T.astype({"full": int, "degenerate": int}).round(3).to_string())


if __name__ == "__main__":
    main()
