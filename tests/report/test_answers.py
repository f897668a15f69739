"""The answer on top of page and summary: sentences with the numbers of the tables, and what was not asked apart."""

import pandas as pd

from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.verdict import FAILS, HOLDS, NOT_APPLICABLE, NOT_RUN, UNDECIDED, Outcome, Verdict
from safety_regions.report.answers import answers, glance_table
from safety_regions.report.columns import Bar, DrawnStrip
from safety_regions.report.tables import ReportTables
from safety_regions.text import section_for_terminal

CONFIG = {"datasets": {"safety": list("abcd"), "utility": ["u", "v"]}}
CLAIMS = {claim.id: claim for claim in CATALOGUE}
NAN = float("nan")


def estimate(method: str, stage: str, iou: float, **more: float) -> dict:
    row = {"model": "M", "method": method, "stage": stage, "floor": 0.03, "half_prompts": 16.0, "n_sets": 4}
    row |= {f"{name}{end}": NAN for name in ("iou", "place") for end in ("", "_low", "_high")}
    return row | {"iou": iou, "iou_low": iou - 0.1, "iou_high": iou + 0.1, "placebo_iou": NAN} | more


def verdict(claim: str, method: str, decision: str, *numbers: float) -> Verdict:
    return Verdict(CLAIMS[claim], "M", method, Outcome(decision, "So.", *numbers))


ESTIMATES = pd.DataFrame(
    [
        estimate("SNIP", "raw", 0.5, place=0.75, place_low=0.5, place_high=1.0),
        estimate("SNIP", "refined", 0.25, placebo_iou=0.3),
        estimate("Wanda", "raw", 0.75, place=0.5, place_low=0.25, place_high=0.75),
        estimate("Wanda", "refined", NAN),
    ]
)
UTILITIES = pd.DataFrame(
    [
        {"model": "M", "method": "SNIP", "utility": name, "drop": drop, "drop_low": drop - 0.1, "drop_high": drop + 0.1}
        for name, drop in (("u", 0.25), ("v", 0.375), ("all of them", 0.5))
    ]
)
VERDICTS = [
    verdict("above_chance", "SNIP", HOLDS, 0.4, 0.3, 0.5),
    verdict("above_chance", "Wanda", FAILS, 0.1, 0.0, 0.2),
    verdict("drops_when_refined", "SNIP", HOLDS, 0.5, 0.25, 0.75),
    verdict("not_size_alone", "SNIP", NOT_APPLICABLE),
    verdict("matters", "SNIP", UNDECIDED, -0.25, -0.5, 0.125),
    verdict("matters", "Wanda", NOT_RUN),
    verdict("freezing_protects", "SNIP", NOT_RUN),
]
TABLES = ReportTables(estimates=ESTIMATES, utilities=UTILITIES, evaluated=pd.DataFrame({"n_harmful": [24]}))


def test_each_question_that_was_asked_has_its_numbers():
    overlap, refinement, matters = answers(CONFIG, TABLES, VERDICTS)
    assert overlap.sentences[:2] == [
        "Two of the 4 safety sets have regions with an IoU of 0.625 (median over 2 pairs of model and method; 0.500 to "
        "0.750); random regions of the same sizes have 0.030.",
        "On a line from chance (0) to two halves of one set (1) different sets stand at 0.625 (median over 2 pairs of "
        "model and method; 0.500 to 0.750), all from 16 prompts.",
    ]
    (above,) = overlap.decided
    assert above.endswith(": holds in 1 and does not hold in 1 of 2 cases.")
    assert refinement.sentences == [
        "Without the regions of the 2 utility sets the IoU is 0.250 [0.150, 0.350].",
        "That is 0.500 [0.400, 0.600] of it taken away.",
        "One utility set alone takes away (median): u 0.250 and v 0.375.",
        "As much of a third safety set takes away 0.400 (median).",
    ]
    assert matters.sentences == [
        "Not decided in 1 of 1 cases (not run in 1).",
        "The share refused of 24 held-out harmful prompts without the region, less that without the control that costs "
        "most: −0.250 [−0.500, 0.125] (M by SNIP).",
    ]


def test_of_several_effects_the_smallest_and_the_largest_are_told():
    effects = [("SNIP", -0.25), ("Wanda", 0.125), ("NLSR", -0.5), ("SafeNeuron", NAN)]
    verdicts = [verdict("matters", name, UNDECIDED, effect, effect - 0.125, effect + 0.125) for name, effect in effects]
    (matters,) = answers(CONFIG, ReportTables(), verdicts)
    assert matters.sentences[-1].endswith(
        "costs most: −0.500 [−0.625, −0.375] (M by NLSR) to +0.125 [0.000, 0.250] (M by Wanda)."
    )


def test_in_a_terminal_the_answer_stands_in_lines_that_fit_without_marks():
    page = (
        "# Safety regions\n\n## The answer\n\n- **How far?** " + "so far " * 30 + "\n- **Why?** So.\n\n## More\n\nx\n"
    )
    said = section_for_terminal(page, "The answer")
    assert said.startswith("- How far? so far") and said.endswith("\n- Why? So.") and "*" not in said
    assert max(map(len, said.splitlines())) <= 100 and said.count("far") == 31
    assert section_for_terminal("# Safety regions\n", "The answer") == ""


def test_a_run_without_numbers_answers_nothing():
    assert answers(CONFIG, ReportTables(), []) == []
    assert glance_table(pd.DataFrame(), []).rows == []


def test_the_table_of_all_draws_before_and_after_and_has_their_numbers():
    first, second = glance_table(ESTIMATES, VERDICTS).cells()
    assert first[2] == DrawnStrip(Bar(50.0, 40.0, 60.0), Bar(25.0, 15.0, 35.0), 3.0)
    assert first[3:] == [
        "0.500 [0.400, 0.600]",
        "0.250 [0.150, 0.350]",
        "0.500 [0.250, 0.750]",
        "0.750 [0.500, 1]",
        "4",
    ]
    assert second[2] == DrawnStrip(Bar(75.0, 65.0, 85.0), None, 3.0) and second[4] == second[5] == "–"
