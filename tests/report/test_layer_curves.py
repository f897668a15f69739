"""The figures of SafeLayer's layers show exactly their statistics, and have the same bytes on every run."""

import numpy as np
import pandas as pd
import pytest
import torch

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.files import sha256_of_file
from safety_regions.methods import safelayer
from safety_regions.planning.recipes.data import OfSet
from safety_regions.planning.recipes.report import FigureContext, LayerCurvesRecipe
from safety_regions.report.figures.layer_curves import draw_gap, draw_sweep, gap_table, sweep_table
from safety_regions.steps.draw_figures import draw_layer_curves
from safety_regions.steps.entry import Entry

SAFETY, UTILITY = ["alpha_set", "beta_set"], ["chores", "sums"]
CONTEXT = {
    "model": "toy",
    "method": "safelayer",
    "n_samples": 8,
    "q": 0.05,
    "p": 0.05,
    "scope": "matrix",
    "safety": SAFETY,
    "utility": UTILITY,
}
FILES = {f"{name}.{end}" for name in ("gap", "sweep") for end in ("pdf", "png", "csv")}


def statistics_of(shift, found=True, is_normal=False):
    """Statistics of a model of five layers whose refusals rise with `shift`."""
    gap = np.array([0.0, 0.01, 0.2, 0.4, 0.41]) * (1 if found else 0)
    counts = {"upper": [-1, -1, 2 + shift, 4 + shift, 1], "lower": [1, 2, 4 + shift, 3, -1]}
    counts = {bound: np.array(row if found else [-1] * 5) for bound, row in counts.items()}
    return {
        "gap": gap,
        "null": np.array([0.01, 0.02, 0.03, 0.04, 0.05]),
        "p_value": np.array(0.001 if found else 0.4),
        "is_normal": np.array(int(is_normal)),
        "initial": np.array([2, 4] if found else [-1, -1]),
        "baseline": np.array(1),
        "n_over_rejection": np.array(10),
        "alpha": np.array(1.2 if found else 1.0),
        "spread": np.array(0.1),
        "alike": np.array(0.75 if found else -1.0),
        "range": np.array([2, 3] if found else [-1, -1]),
        **counts,
    }


ALL = {
    "chores": statistics_of(0),
    "alpha_set": statistics_of(1),
    "beta_set": statistics_of(2),
    "sums": statistics_of(0, found=False, is_normal=True),
}


def write_regions(folder):
    """Files that stand for regions, with receipts, and the recipe of their figures."""
    paths, digests = {}, []
    for name, of in ALL.items():
        paths[name] = folder / f"{name}.safetensors"
        paths[name].write_bytes(b"region")
        facts = safelayer.facts({key: torch.from_numpy(array) for key, array in of.items()})
        digests.append(OfSet(name, receipts.write(paths[name], {"kind": "region", "set": name}, facts).digest))
    return LayerCurvesRecipe(style="", regions=digests, context=FigureContext(**CONTEXT)), paths


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curves")
    recipe, paths = write_regions(folder)
    outputs = [folder / "first", folder / "second"]
    for output in outputs:
        draw_layer_curves(Entry(output, recipe, paths))
    return outputs


def test_figures_have_the_same_bytes_twice(drawn):
    hashes = [{p.name: sha256_of_file(p) for p in [*f.iterdir(), receipts.receipt_path(f)]} for f in drawn]
    assert list(hashes[0].values()) == list(hashes[1].values())
    assert set(hashes[0]) == FILES | {"first.receipt.json"}


def test_receipt_names_every_file(drawn):
    assert set(receipts.check(drawn[0]).files) == FILES


def test_gap_csv_has_every_gap_and_the_range(drawn):
    table = pd.read_csv(drawn[0] / "gap.csv")
    assert list(dict.fromkeys(table["set"])) == [*SAFETY, *UTILITY]
    for name, rows in table.groupby("set"):
        for column in ("gap", "null"):
            np.testing.assert_allclose(rows[column], ALL[name][column])
        assert set(rows["p_value"]) == {float(ALL[name]["p_value"])}
        assert set(rows["is_normal"]) == {int(name == "sums")}
        assert set(rows["role"]) == {"utility" if name in UTILITY else "safety"}
        found = name != "sums"
        assert rows["layer"][rows["in_range"] == 1].tolist() == ([2, 3] if found else [])
        assert rows["layer"][rows["onset"] == 1].tolist() == ([2] if found else [])
        assert rows["layer"][rows["smoothing"] == 1].tolist() == ([4] if found else [])


def test_sweep_csv_has_the_counts_of_layers_tried_only(drawn):
    table = pd.read_csv(drawn[0] / "sweep.csv")
    assert "sums" not in set(table["set"])
    for (name, bound), rows in table.groupby(["set", "bound"]):
        counts = ALL[name][bound]
        assert rows["layer"].tolist() == np.flatnonzero(counts >= 0).tolist()
        assert rows["refused"].tolist() == counts[counts >= 0].tolist()
        np.testing.assert_allclose(rows["share"], rows["refused"] / 10)
        assert set(rows["baseline"]) == {0.1} and set(rows["alpha"]) == {1.2} and set(rows["alike"]) == {0.75}
        assert rows["layer"][rows["chosen"] == 1].tolist() == [3 if bound == "upper" else 2]


def test_curves_are_drawn_where_the_tables_say():
    context = FigureContext(**CONTEXT)
    table = gap_table(ALL, context)
    axis, below = draw_gap(table, context).axes
    drawn = [line.get_ydata() for line in axis.lines if len(line.get_xdata()) == 5]
    expected = [rows[column] for _, rows in table.groupby("set", sort=False) for column in ("gap", "null")]
    for y, column in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(y, column)
    assert [text.get_text() for text in below.texts] == ["compared with"]
    sweep = sweep_table(ALL, context)
    upper, lower = draw_sweep(sweep, context).axes
    for bound, axis in (("upper", upper), ("lower", lower)):
        curves = [line.get_ydata() for line in axis.lines if line.get_label() != "Unscaled"]
        tables = [rows["share"] for _, rows in sweep[sweep["bound"] == bound].groupby("set", sort=False)]
        for y, shares in zip(curves, tables, strict=True):
            np.testing.assert_array_equal(y, shares)
        assert [line.get_ydata()[0] for line in axis.lines if line.get_label() == "Unscaled"] == [0.1]


def test_a_model_without_any_gap_is_drawn_too():
    context, none = FigureContext(**CONTEXT), {name: statistics_of(0, found=False) for name in ALL}
    assert len(draw_gap(gap_table(none, context), context).axes[0].lines) >= len(none)
    table = sweep_table(none, context)
    assert table.empty
    assert "No set has a gap" in {text.get_text() for text in draw_sweep(table, context).axes[0].texts}


def test_altered_or_missing_regions_are_refused(tmp_path):
    recipe, paths = write_regions(tmp_path)
    with pytest.raises(UserError, match="no 'sums' in the inputs"):
        draw_layer_curves(Entry(tmp_path / "out", recipe, {k: v for k, v in paths.items() if k != "sums"}))
    with pytest.raises(UserError, match="made by recipe"):
        draw_layer_curves(Entry(tmp_path / "out", recipe, {**paths, "sums": paths["chores"]}))
    paths["chores"].write_bytes(paths["chores"].read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="altered"):
        draw_layer_curves(Entry(tmp_path / "out", recipe, paths))
