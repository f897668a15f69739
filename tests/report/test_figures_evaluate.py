"""The figure of the evaluation: means over sets, with their numbers and the whole table beside it."""

import math

import pandas as pd
import pytest
from matplotlib.text import Text

from safety_regions.provenance.report_parts import OF_MODELS
from safety_regions.report.figures.doses import doses_table, draw_doses, write_doses
from safety_regions.report.figures.evaluate import draw_evaluation, drawn_table, wilson, write_evaluation
from safety_regions.report.page.captions import CAPTIONS

Q = 0.05


def figure_rows(model, method, perplexity=3.0, dose=Q):
    """What could be two sets' evaluate.csv, with the region of the second without effect."""
    rows = []
    for name, rate in (("a", 0.2), ("b", 0.9)):
        for condition, seed, refusal in [
            ("intact", None, 0.9),
            ("raw", None, rate),
            ("refined", None, 0.5),
            ("random", 0, 0.8),
            ("random", 1, 0.9),
            ("perplexity", 0, 0.7),
            ("harmless", None, 0.6),
        ]:
            rows.append(
                {
                    "model": model,
                    "method": method,
                    "set": name,
                    "condition": condition,
                    "dose": None if condition == "intact" else dose,
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
    assert means.loc[("n", "safelayer", "random", 1), "refusal_rate"] == pytest.approx(0.9)
    assert means.loc[("m", "snip", "raw", -1), "perplexity_ratio"] == perplexity / 2
    figure = draw_evaluation(drawn, table)
    figure.draw_without_rendering()
    text = " ".join(t.get_text() for t in figure.findobj(Text))
    for part in (
        "m\nsnip",
        "n\nsafelayer",
        "Intact model",
        "Harmful degenerate",
        "regions of a, b (mean)",
        "16 harmful",
        "Random, as damaging",
        "Region of harmless prompts",
    ):
        assert part in text
    assert "nan" not in text


def test_no_mark_lies_under_another_and_whiskers_are_intervals_over_prompts():
    table = pd.DataFrame([row for method in ("snip", "wanda") for row in figure_rows("m", method)])
    figure = draw_evaluation(drawn_table(table), table)
    for axis in figure.axes:
        heights = [line.get_ydata()[0] for line in axis.get_lines() if not line.get_label().startswith("_")]
        assert len(heights) == len(set(heights)) == 2 * 6
    # Of each method five conditions of one draw.
    assert [len(axis.collections) for axis in figure.axes] == [2 * 5, 2 * 5, 2 * 5, 0]
    assert wilson(0.0, 16)[0] == 0 and wilson(0.0, 16)[1] == pytest.approx(0.1936, abs=1e-4)
    assert wilson(0.5, 16) == pytest.approx((0.28, 0.72), abs=1e-3)


def of_two_doses(*methods, perplexity=3.0):
    rows = [row for method in methods for row in figure_rows("m", method, perplexity)]
    more = [row for method in methods for row in figure_rows("m", method, perplexity, 0.01) if row["dose"]]
    return pd.DataFrame(rows + more)


def test_figure_is_written_with_its_numbers_at_q_and_the_whole_table(tmp_path):
    table = of_two_doses("snip")
    write_evaluation(table, Q, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "evaluate.csv",
        "evaluate.pdf",
        "evaluate.png",
        "evaluate_sets.csv",
    ]
    assert len(pd.read_csv(tmp_path / "evaluate_sets.csv")) == len(table)
    assert len(pd.read_csv(tmp_path / "evaluate.csv")) == 7


@pytest.mark.parametrize("perplexity", [3.0, 1e6, math.inf])
def test_the_figure_of_doses_has_a_line_from_the_intact_model_for_each_condition(perplexity):
    table = of_two_doses("snip", "safelayer", perplexity=perplexity)
    drawn = doses_table(table)
    means = drawn.set_index(["method", "condition", "dose"])
    assert means.loc[("snip", "random", 0.01), "refusal_rate"] == pytest.approx(0.85)
    assert means.loc[("snip", "refined", Q), "perplexity_ratio"] == perplexity / 2
    figure = draw_doses(drawn, table)
    figure.draw_without_rendering()
    for axis in figure.axes:
        lines = {line.get_label(): len(line.get_xdata()) for line in axis.get_lines()}
        assert lines.pop("Intact model") == 1
        assert set(lines.values()) == ({3} if math.isfinite(perplexity) else set())
    text = " ".join(t.get_text() for t in figure.findobj(Text))
    for part in ("snip", "safelayer", "Refused", "Degenerate", "Answered", "at 1%, 5% of the elements", "a, b (mean)"):
        assert part in text
    assert "nan" not in text


def test_every_model_has_a_figure_of_doses(tmp_path):
    table = of_two_doses("snip")
    write_doses(pd.concat([table, table.assign(model="n")]), tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {f"{m}.doses.{e}" for m in "mn" for e in ("csv", "pdf", "png")}
    assert "doses" in CAPTIONS and OF_MODELS["doses"] == "evaluate"
