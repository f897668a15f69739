"""The figures and the table of fine-tunings: means and ranges over seeds, of every method with what freezes nothing."""

import pandas as pd
import pytest
from constrain_case import planted_training

from safety_regions.report.constrained import in_words, last, of_each_method, over_seeds
from safety_regions.report.figures.constrain import draw_courses, write_constrained
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
