"""The figure of the evaluation: means over sets, with their numbers and the whole table beside it."""

import math

import pandas as pd
import pytest
from matplotlib.text import Text

from safety_regions.report.figures.evaluate import draw_evaluation, drawn_table, write_evaluation


def figure_rows(model, method, perplexity=3.0):
    """What could be two sets' evaluate.csv, with the region of the second without effect."""
    rows = []
    for name, rate in (("a", 0.2), ("b", 0.9)):
        for condition, seed, refusal in [
            ("intact", None, 0.9),
            ("raw", None, rate),
            ("random_raw", 0, 0.8),
            ("random_raw", 1, 0.9),
            ("refined", None, 0.5),
            ("random_refined", 0, 0.7),
            ("random_refined", 1, 0.9),
        ]:
            rows.append(
                {
                    "model": model,
                    "method": method,
                    "set": name,
                    "condition": condition,
                    "seed": seed,
                    "share": 0.05,
                    "share_of_weights": 0.05,
                    "refusal_rate": refusal,
                    "degenerate_rate": 0.05,
                    "answer_rate": 0.95 - refusal,
                    "over_refusal_rate": 0.1,
                    "harmless_degenerate_rate": 0.0,
                    "harmless_answer_rate": 0.9,
                    "perplexity": 2.0 if condition == "intact" else perplexity,
                    "n_harmful": 16,
                    "n_harmless": 8,
                }
            )
    return rows


@pytest.mark.parametrize("perplexity", [3.0, 1e6, math.inf])
def test_figure_draws_the_means_over_sets(perplexity):
    table = pd.DataFrame(
        [
            row
            for model in ("m", "n")
            for method in ("snip", "safelayer")
            for row in figure_rows(model, method, perplexity)
        ]
    )
    drawn = drawn_table(table)
    means = drawn.fillna({"seed": -1}).set_index(["model", "method", "condition", "seed"])
    assert len(drawn) == 4 * 7
    assert means.loc[("m", "snip", "raw", -1), "refusal_rate"] == pytest.approx(0.55)
    assert means.loc[("n", "safelayer", "random_raw", 1), "refusal_rate"] == pytest.approx(0.9)
    assert means.loc[("m", "snip", "raw", -1), "perplexity_ratio"] == perplexity / 2
    figure = draw_evaluation(drawn, table)
    figure.draw_without_rendering()
    text = " ".join(t.get_text() for t in figure.findobj(Text))
    for part in (
        "m  snip",
        "n  safelayer",
        "Intact model",
        "Harmful degenerate",
        "regions of a, b (mean)",
        "16 harmful",
        "2 random regions",
    ):
        assert part in text
    assert "nan" not in text


def test_figure_is_written_with_its_numbers_and_the_whole_table(tmp_path):
    table = pd.DataFrame(figure_rows("m", "snip"))
    write_evaluation(table, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "evaluate.csv",
        "evaluate.pdf",
        "evaluate.png",
        "evaluate_sets.csv",
    ]
    assert len(pd.read_csv(tmp_path / "evaluate_sets.csv")) == len(table)
