"""Figures of a whole run: what numbers mean (ceiling, confounds, responses) and the verdicts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from figure_tables import CONFIG, words
from matplotlib.colors import to_hex

from safety_regions.claims.catalogue import OURS, STUDY, Claim
from safety_regions.claims.drop_curve import COLUMNS as DROP_COLUMNS
from safety_regions.claims.verdict import FAILS, HOLDS, NOT_APPLICABLE, NOT_RUN, UNDECIDED, Outcome, Verdict
from safety_regions.files import sha256_of_file
from safety_regions.report.figures import ceiling, confounds, drop, responses, verdicts
from safety_regions.report.figures.style import COLOURS

MODELS, METHODS, STAGES = ("tiny", "small-model"), ("snip", "wanda"), ("raw", "refined")
KEYS = [(model, method, stage) for model in MODELS for method in METHODS for stage in STAGES]
NAN = float("nan")


def make_estimates() -> pd.DataFrame:
    rows = []
    for number, (model, method, stage) in enumerate(KEYS):
        iou, top = 0.3 + 0.02 * number, 0.7 + 0.01 * number
        row = {"model": model, "method": method, "stage": stage, "q": 0.05, "p": NAN, "n_sets": 5, "floor": 0.03}
        row |= {"between": iou - 0.02, "between_low": iou - 0.12, "between_high": iou + 0.08}
        row |= {"iou": iou, "iou_low": iou - 0.1, "iou_high": iou + 0.1, "size_matched_iou": 0.35}
        row |= {"ceiling": top, "ceiling_low": top - 0.05, "ceiling_high": top + 0.05}
        row |= {"unlimited": iou + 0.02, "unlimited_low": iou - 0.1, "unlimited_high": iou + 0.1, "half_prompts": 16.0}
        rows.append(row | {"place": 0.5, "place_low": 0.3, "place_high": 0.8, "seeds_iou": 0.8})
    return pd.DataFrame(rows)


SETS = ["x", "y", "z"]
COVARIATES = {
    "shared prompts": np.array([[1, 0.2, 0], [0.2, 1, 0.1], [0, 0.1, 1]]),
    "prompts, mean": np.full((3, 3), 32.0),
    "share refused, difference": np.array([[0, NAN, 0.5], [NAN, 0, 0.3], [0.5, 0.3, 0]]),
}


def make_pairs() -> pd.DataFrame:
    rows = [(stage, *pair, 0.1 * n) for stage in STAGES for n, pair in enumerate(["xy", "xz", "yz"], 2)]
    pairs = pd.DataFrame(rows, columns=["stage", "a", "b", "iou"])
    return pd.concat(
        [confounds.pair_rows(model, method, pairs, SETS, COVARIATES) for model in MODELS for method in METHODS]
    )


def make_tests() -> pd.DataFrame:
    rows = [(*key, name, -0.25 if key[2] == "raw" else NAN, 0.2, 3) for key in KEYS for name in COVARIATES]
    return pd.DataFrame(rows, columns=["model", "method", "stage", "covariate", "rho", "p_value", "n_pairs"])


def make_responses() -> pd.DataFrame:
    given = {"same prompts, other responses": 0.2, "other prompts, same responses": 0.6}
    rows = [(*key, name, iou, 0.03, 4) for key in KEYS for name, iou in given.items()]
    return pd.DataFrame(rows, columns=["model", "method", "stage", "comparison", "iou", "floor", "n_pairs"])


def make_drops() -> pd.DataFrame:
    about = dict.fromkeys((model, method) for model, method, _ in KEYS)
    rows = [(*key, 0.05, p, 0.3, 5 * p, 4 * p, 6 * p, 0.2) for key in about for p in (0.01, 0.05)]
    return pd.DataFrame(rows, columns=DROP_COLUMNS)


CLAIMS = [Claim(f"c{n}", "", f"Claim {n} of the study.", "abstract", "t", (), "IoU") for n in range(3)]
OUTCOMES = [Outcome(HOLDS, "So.", 0.4, 0.2, 0.6), Outcome(FAILS, "So.", -0.001, -0.2, 0.1), Outcome(UNDECIDED, "So.")]


def make_verdicts(models=MODELS, outcomes=OUTCOMES) -> list[Verdict]:
    return [
        Verdict(claim, model, method, outcome)
        for claim, outcome in zip(CLAIMS, outcomes, strict=True)
        for model in models
        for method in METHODS
    ]


WRITERS = {
    "ceiling": lambda out: ceiling.write_ceiling(make_estimates(), CONFIG, out),
    "confounds_pairs": lambda out: confounds.write_confounds(make_pairs(), make_tests(), CONFIG, out),
    "responses": lambda out: responses.write_responses(make_responses(), make_estimates(), CONFIG, out),
    "drop": lambda out: drop.write_drop(make_drops(), CONFIG, out),
    "verdicts": lambda out: verdicts.write_verdicts(make_verdicts(), CONFIG, out),
}


@pytest.mark.parametrize("name", WRITERS)
def test_written_twice_they_have_the_same_bytes_and_the_numbers_drawn_beside_them(name, tmp_path):
    digests = []
    for folder in (tmp_path / "1", tmp_path / "2"):
        folder.mkdir()
        WRITERS[name](folder)
        digests.append({path.name: sha256_of_file(path) for path in folder.iterdir()})
    assert digests[0] == digests[1] and set(digests[0]) == {f"{name}.{end}" for end in ("pdf", "png", "csv")}
    table = pd.read_csv(tmp_path / "1" / f"{name}.csv")
    assert set(table["model"]) == set(MODELS) and len(table) >= len(METHODS) * len(MODELS)


@pytest.mark.parametrize("rows", ["none", "one method", "no numbers"])
def test_few_rows_and_no_numbers_are_drawn_without_complaint(rows):
    tables = [make_estimates(), make_pairs(), make_tests(), make_responses(), verdicts.verdict_table(make_verdicts())]
    tables.append(make_drops())
    if rows == "no numbers":
        numbers = [
            "value",
            "iou",
            "iou_low",
            "iou_high",
            "between",
            "place",
            "floor",
            "ceiling",
            "rho",
            "p_value",
            "effect",
            "low",
            "drop",
            "placebo_drop",
        ]
        tables = [table.assign(**{name: NAN for name in numbers if name in table}) for table in tables]
    else:
        tables = [
            table[(table["model"] == "tiny") & (table["method"] == ("snip" if rows == "one method" else ""))]
            for table in tables
        ]
    estimates, pairs, tests, given, found, drops = tables
    for figure in (
        ceiling.draw_ceiling(estimates, CONFIG),
        confounds.draw_confounds(pairs, tests, CONFIG),
        responses.draw_responses(responses.responses_table(given, estimates), CONFIG),
        verdicts.draw_verdicts(found, CONFIG),
        drop.draw_drop(drops, CONFIG),
    ):
        figure.draw_without_rendering()
        text = " ".join(" ".join(words(figure)).split())
        assert "nan" not in text.lower() and "32 prompts per set" in text


def points(axis, stage: str, marker: str) -> list[tuple[float, float]]:
    lines = [
        line
        for line in axis.lines
        if line.get_marker() == marker and to_hex(line.get_color()) == COLOURS[stage].lower()
    ]
    return [(float(x), float(y)) for line in lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def test_ceiling_puts_each_number_on_its_line_and_says_places_that_are_off_the_axis():
    table = make_estimates()
    table.loc[0, ["place", "place_low", "place_high"]] = [2.4, 1.2, 9.0]
    table.loc[3, ["place", "place_low", "place_high"]] = NAN
    figure = ceiling.draw_ceiling(table[ceiling.COLUMNS], CONFIG)
    iou, place = figure.axes
    of = table.set_index(["model", "method", "stage"])
    heights = {"raw": [0.3, 1.3, 2.8, 3.8], "refined": [0.7, 1.7, 3.2, 4.2]}
    for stage, marker in (("raw", "o"), ("refined", "s")):
        expected = list(zip(of.xs(stage, level="stage")["between"], heights[stage], strict=True))
        assert np.allclose(points(iou, stage, marker), expected)
    assert len(points(place, "raw", "o")) == 3 and len(points(place, "refined", "s")) == 3
    assert {"2.4 →", "–"} <= {text.get_text() for text in place.texts}
    assert place.get_xlim()[1] <= 1.6


def test_a_stage_without_a_number_does_not_break_the_layout(tmp_path):
    """Unclipped markers count as decorations that the panels make room for, and without a point they have no end: the
    layout warns.
    """
    values = {
        "shared prompts": [0.0, 0.125, 0.0],
        "length, difference": [1.5, 0.4, 1.1],
        "length, mean": [8.8, 9.3, 8.6],
    }
    rows = [
        ("tiny", method, stage, a, b, 1.0 if method == "d" else 0.1 * n + 0.3, covariate, of[n])
        for method in "abcde"
        for covariate, of in values.items()
        for stage in STAGES
        for n, (a, b) in enumerate(["xy", "xz", "yz"])
    ]
    pairs = pd.DataFrame(rows, columns=confounds.COLUMNS)
    pairs.loc[(pairs["method"] == "d") & (pairs["stage"] == "refined"), "iou"] = NAN
    confounds.write_confounds(pairs, make_tests(), CONFIG, tmp_path)


def test_pair_rows_are_each_pair_with_each_covariate():
    table = make_pairs()
    assert len(table) == 4 * 2 * 3 * 3
    row = table[
        (table["model"] == "tiny") & (table["method"] == "snip") & (table["stage"] == "raw") & (table["a"] == "y")
    ]
    assert dict(zip(row["covariate"], row["value"], strict=True)) == {
        "shared prompts": 0.1,
        "prompts, mean": 32,
        "share refused, difference": 0.3,
    }
    assert row["iou"].tolist() == pytest.approx([0.4] * 3)


def test_confounds_leave_out_what_is_the_same_for_all_pairs_and_say_the_correlation():
    pairs, tests = make_pairs(), make_tests()
    figure = confounds.draw_confounds(pairs, tests, CONFIG)
    assert [axis.get_xlabel() for axis in figure.axes[-2:]] == ["Shared prompts", "Share refused, difference"]
    assert len(figure.axes) == 4 and len(points(figure.axes[1], "raw", "o")) == 2 * 2
    assert {"ρ −.25, p < .05: 0 of 2", "ρ –"} <= set(words(figure))
    one = confounds.draw_confounds(pairs[pairs["model"] == "tiny"], tests[tests["model"] == "tiny"], CONFIG)
    assert "ρ −.25, p .20" in words(one)


def test_what_has_no_values_is_left_out_and_said():
    pairs = make_pairs()
    pairs.loc[pairs["method"] == "wanda", "iou"] = 1.0
    drops = make_drops()
    drops.loc[drops["method"] == "wanda", "drop"] = NAN
    estimates = make_estimates()
    estimates.loc[estimates["method"] == "wanda", ["between", "ceiling"]] = NAN
    figures = {
        "since all IoU are one: wanda": confounds.draw_confounds(pairs, make_tests(), CONFIG),
        "since nowhere defined: wanda": drop.draw_drop(drops, CONFIG),
        "since without halves: tiny wanda, small-model wanda": ceiling.draw_ceiling(estimates, CONFIG),
    }
    for said, figure in figures.items():
        text = "".join("".join(words(figure)).split()).replace("–:not", "").replace("ρ–", "")
        assert said.replace(" ", "") in text and text.count("wanda") == said.count("wanda") and "–" not in text


def test_many_confounds_stand_in_blocks_in_which_no_words_meet():
    pairs = make_pairs()
    varied = pairs[pairs["covariate"] == "shared prompts"]
    names = [f"share of something {n}, difference" for n in range(confounds.MOST_ACROSS + 1)]
    tests = [make_tests().query("covariate == 'shared prompts'").assign(covariate=name) for name in names]
    figure = confounds.draw_confounds(
        pd.concat([varied.assign(covariate=name) for name in names]), pd.concat(tests), CONFIG
    )
    figure.draw_without_rendering()
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert (
        len(shown) == len(METHODS) * len(names) and len({axis.get_subplotspec().get_gridspec() for axis in shown}) == 2
    )
    assert sum(axis.get_xlabel().startswith("Share of") for axis in shown) == len(names)
    assert figure.get_figheight() <= confounds.HIGHEST
    boxes = [text.get_window_extent() for axis in shown for text in axis.texts]
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])


def test_responses_begin_with_what_overlaps_most_and_end_with_two_halves():
    table = responses.responses_table(make_responses(), make_estimates())
    figure = responses.draw_responses(table, CONFIG)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [
        "Other prompts,\nsame responses",
        "Same prompts,\nother responses",
        "Two halves of one set,\nown responses",
        "Halves of other sets,\nown responses",
    ]
    drawn = points(figure.axes[0], "raw", "o")
    ceilings = table[(table["method"] == "snip") & (table["stage"] == "raw")]["ceiling"].unique()
    between = table[(table["method"] == "snip") & (table["stage"] == "raw")]["between"].unique()
    halves = [(value, 1.83) for value in ceilings] + [(value, 2.83) for value in between]
    assert sorted(drawn) == sorted([(0.6, -0.17), (0.2, 0.83)] * 2 + halves)


def test_the_set_that_moves_a_verdict_most_stands_beside_it():
    fewer = {"x": Outcome(HOLDS, "So.", 0.35), "y": Outcome(UNDECIDED, "So.", 0.1), "z": Outcome(FAILS, "So.")}
    verdict = replace(make_verdicts()[0], without=fewer, p_holm=0.04, p_bh=0.02)
    row = verdicts.verdict_table([verdict]).iloc[0]
    assert row[["moved_by", "effect_without", "verdict_without"]].tolist() == ["y", 0.1, UNDECIDED]
    assert row[["p_holm", "p_bh"]].tolist() == [0.04, 0.02]
    assert verdicts.without_table([verdict])["without"].tolist() == ["x", "y", "z"]
    assert verdicts.without_table(make_verdicts()).empty


def test_verdicts_have_mark_effect_and_interval_and_words_where_there_is_room():
    text = words(verdicts.draw_verdicts(verdicts.verdict_table(make_verdicts()), CONFIG))
    assert text.count("✓ holds") == text.count("✗ does not hold") == text.count("? undecided") == 4
    assert text.count("0.40 [0.20, 0.60]") == 4 and text.count("0.00 [−0.20, 0.10]") == 4 and text.count("–") == 4
    table = verdicts.verdict_table(make_verdicts([f"a-model-with-a-name-{n}" for n in range(8)]))
    many = words(verdicts.draw_verdicts(table, CONFIG))
    assert many.count("✓ .40") == many.count(".20, .60") == 16 and many.count("✗ .00") == many.count("−.20, .10") == 16
    assert many.count("?") == 16 and "✓ holds" not in many


@pytest.mark.parametrize("n_models", [2, 8])
def test_a_claim_that_was_run_for_no_model_is_named_below_and_takes_no_room(n_models):
    models = [f"m{n}" for n in range(n_models)]
    table = verdicts.verdict_table(
        make_verdicts(models, [OUTCOMES[0], Outcome(NOT_RUN, "No."), Outcome(NOT_APPLICABLE, "No.")])
    )
    figure = verdicts.draw_verdicts(table, CONFIG)
    assert "not run: c1" in " ".join(" ".join(words(figure)).split())
    # A claim that does not apply to any of the methods is no gap in the run.
    assert len(figure.axes[0].patches) == 2 * len(METHODS) * n_models
    nothing = verdicts.verdict_table(make_verdicts(models, [Outcome(NOT_RUN, "No.")] * 3))
    assert len(verdicts.draw_verdicts(nothing, CONFIG).axes[0].patches) == 3 * len(METHODS) * n_models


@pytest.mark.parametrize("n_models", [2, 8])
def test_claims_of_the_study_stand_apart_from_ours(n_models):
    made = [replace(v, claim=replace(v.claim, source=(OURS, STUDY, OURS)[int(v.claim.id[1])])) for v in make_verdicts()]
    table = verdicts.verdict_table(
        [replace(v, model=f"m{n}") for v in made for n in range(n_models // 2) if v.model == "tiny"]
    )
    figure = verdicts.draw_verdicts(table, CONFIG)
    assert verdicts._grouped(table) == {"The study's claims": ["c1"], "Claims of ours beside them": ["c0", "c2"]}
    text = " ".join(" ".join(words(figure)).split())
    assert "The study's claims" in text and "Claims of ours beside them" in text


@pytest.mark.parametrize("n_models", [1, 2, 3, 8])
def test_the_words_of_a_verdict_stay_in_their_cell(n_models):
    """Numbers as wide as they get."""
    wide = [replace(outcome, effect=-0.12, low=-0.33, high=-0.14) for outcome in OUTCOMES]
    table = verdicts.verdict_table(make_verdicts([f"m{n}" for n in range(n_models)], wide))
    figure = verdicts.draw_verdicts(table, CONFIG)
    figure.canvas.draw()
    axis = figure.axes[0]
    cells = [patch.get_window_extent() for patch in axis.patches]
    written = [text for text in axis.texts if not text.get_text().startswith(("m", "abstract"))]
    assert len(cells) == 6 * n_models and len(written) == (3 if n_models == 3 else 2) * len(cells)
    for text in written:
        extent = text.get_window_extent()
        assert any(
            c.x0 <= extent.x0 and extent.x1 <= c.x1 and c.y0 <= extent.y0 and extent.y1 <= c.y1 for c in cells
        ), text.get_text()
