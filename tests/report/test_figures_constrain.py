"""The figures and the table of fine-tunings: means and ranges over seeds, of every method with what freezes nothing."""

import numpy as np
import pandas as pd
import pytest
from constrain_case import planted_training

from safety_regions.report.constrained import in_words, last, of_each_method, only_trained, over_seeds
from safety_regions.report.figures.constrain import draw_courses, draw_only, write_constrained
from safety_regions.report.tables import constrained_table

SHARES = {"refined": 0.75, "random_refined": 0.5, "rewound_refined": 0.875, "rewound_random_refined": 0.5}


def run(name):
    """A table of two methods on one model."""
    parts = [("", {"nothing": 0.5}), ("snip", SHARES), ("wanda", {"refined": 0.25})]
    tables = [planted_training(shares)[name].assign(model="m", method=method) for method, shares in parts]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def rates():
    return run("constrain")


def test_what_freezes_nothing_stands_beside_every_method(rates):
    table = of_each_method(rates)
    shown = {method: set(of["condition"]) for method, of in table.groupby("method")}
    assert shown == {"snip": {"aligned", "nothing", *SHARES}, "wanda": {"aligned", "nothing", "refined"}}


def test_a_row_is_the_mean_over_seeds_with_their_range(rates):
    table = over_seeds(rates)
    row = table[(table["method"] == "snip") & (table["condition"] == "refined")].iloc[0]
    assert (row["refusal_rate"], row["refusal_low"], row["refusal_high"]) == (12.5 / 16, 12 / 16, 13 / 16)
    assert row["n_seeds"] == 2


def test_rows_come_in_the_order_of_what_is_done(rates):
    of_snip = over_seeds(rates).query("method == 'snip'")
    names = [
        "aligned",
        "nothing",
        "refined",
        "random_refined",
        "rewound_refined",
        "rewound_random_refined",
    ]
    assert list(of_snip["condition"]) == names


def test_the_last_step_is_shown_and_the_aligned_model_before_the_first(rates):
    early = rates[rates["step"] == 9].assign(checkpoint="step 4", step=4)
    at_loss = early.assign(checkpoint="loss 0.9", step=5)
    table = last(over_seeds(pd.concat([rates, early, at_loss])))
    assert set(zip(table["condition"] == "aligned", table["checkpoint"], strict=True)) == {
        (True, "step 0"),
        (False, "step 9"),
    }


def test_conditions_in_words():
    assert in_words("nothing") == "nothing frozen"
    assert in_words("refined") == in_words("rewound_refined") == "region"
    assert in_words("random_raw") == "random, that size, before refinement"


def test_lines_run_from_the_aligned_model_to_the_last_step(rates):
    drawn = over_seeds(rates)
    figure = draw_courses(drawn[~drawn["condition"].str.startswith("rewound_")])
    lines = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}
    assert lines["nothing frozen"] == [1.0, 8.5 / 16] and lines["region"] == [1.0, 12.5 / 16]
    assert len(figure.axes) == 2


def test_marks_of_one_loss_stand_beside_each_other_and_small_differences_are_seen(rates):
    drawn = over_seeds(rates)
    figure = draw_courses(drawn[~drawn["condition"].str.startswith("rewound_")])
    figure.draw_without_rendering()
    for axis in figure.axes:
        begins = [line.get_transform().transform(line.get_xydata()[0]) for line in axis.lines]
        gaps = np.diff(sorted(x for x, _ in begins)) * 72 / figure.dpi
        assert len(begins) > 1 and (gaps >= 3.5).all()
        low, high = axis.get_ylim()
        assert 0 <= low <= drawn["refusal_low"].min() and drawn["refusal_high"].max() <= high <= 1
    close = drawn.assign(**dict.fromkeys(("refusal_rate", "refusal_low", "refusal_high"), 0.7))
    low, high = draw_courses(close).axes[0].get_ylim()
    assert (low, high) == pytest.approx((0.575, 0.825))


def test_files_hold_what_is_drawn_and_all_of_it(rates, tmp_path):
    write_constrained(rates, run("moved"), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    figures = {f"{name}.{ending}" for name in ("constrain", "rewound") for ending in ("pdf", "png", "csv")}
    assert names == figures | {"constrain_seeds.csv", "constrain_moved.csv"}
    bars = pd.read_csv(tmp_path / "rewound.csv")
    assert set(bars["condition"]) == {"aligned", "nothing", "rewound_refined", "rewound_random_refined"}
    assert len(pd.read_csv(tmp_path / "constrain_seeds.csv")) == len(rates)


def test_without_anything_put_back_there_are_no_bars(rates, tmp_path):
    write_constrained(rates[~rates["condition"].str.startswith("rewound_")], run("moved"), tmp_path)
    assert not (tmp_path / "rewound.pdf").exists()


def test_the_table_says_what_was_done_with_which_weights(rates):
    table = constrained_table(rates)
    rows = {(row[1], row[3], row[4]): row[6].value for row in table.rows}
    assert rows["snip", "put back", "region"] == 14.5 / 16
    assert rows["wanda", "frozen", "nothing frozen"] == 8.5 / 16
    assert rows["snip", "", "aligned model"] == 1
    assert all(len(cells) == len(table.columns) for cells in table.cells())


ONLY = {
    "only_refined": 0.75,
    "only_refined_at_0.01": 0.875,
    "only_random_refined": 0.5,
    "only_random_refined_at_0.01": 1,
}


@pytest.fixture(scope="module")
def partly():
    """Trainings of all but a region at two fractions; at the smaller one 1% of the weights is trained."""
    parts = [("", {"nothing": 0.25}), ("snip", {"refined": 0.5} | ONLY)]
    tables = [planted_training(shares)["constrain"].assign(model="m", method=method) for method, shares in parts]
    rates = pd.concat(tables, ignore_index=True)
    small = rates["condition"].str.endswith("_at_0.01")
    share = rates["share_of_weights"].where(~rates["condition"].str.startswith("only"), 0.95).mask(small, 0.99)
    return rates.assign(share_of_weights=share)


def test_conditions_of_a_part_that_is_trained_in_words():
    assert in_words("only_refined") == "all but the region"
    assert in_words("only_random_raw_at_0.01") == "all but random, that size, before refinement, at 1%"


def test_fractions_come_in_their_order_behind_that_of_the_run(partly):
    conditions = [of for of in over_seeds(partly)["condition"] if of.startswith("only")]
    assert conditions == [*ONLY]


def test_a_line_runs_over_the_share_that_is_trained(partly):
    figure = draw_only(only_trained(over_seeds(partly)))
    refused, loss = figure.axes
    lines = {line.get_label(): line for line in refused.lines}
    region, random = (lines[f"trained: {what}"] for what in ("the region", "random, that size"))
    assert region.get_xdata() == pytest.approx([0.01, 0.05]) == random.get_xdata()
    assert region.get_ydata().tolist() == [14.5 / 16, 12.5 / 16] and random.get_ydata().tolist() == [1, 8.5 / 16]
    assert set(lines["aligned model"].get_ydata()) == {1.0}
    assert set(lines["nothing frozen"].get_ydata()) == {4.5 / 16}
    assert {line.get_label() for line in loss.lines} == {*lines}
    assert set(lines["trained: the region"].get_xdata()) == set(loss.lines[0].get_xdata())


def test_only_with_several_fractions_is_there_a_figure_of_them(partly, rates, tmp_path):
    moved = run("moved")
    write_constrained(partly, moved, tmp_path)
    assert set(pd.read_csv(tmp_path / "only.csv")["condition"]) == {"aligned", "nothing", *ONLY}
    assert set(pd.read_csv(tmp_path / "constrain.csv")["condition"]) == {
        "aligned",
        "nothing",
        "refined",
        "only_refined",
        "only_random_refined",
    }
    one = partly[~partly["condition"].str.endswith("_at_0.01")]
    (tmp_path / "one").mkdir()
    write_constrained(one, moved, tmp_path / "one")
    assert not (tmp_path / "one/only.pdf").exists() and only_trained(over_seeds(rates)).empty
