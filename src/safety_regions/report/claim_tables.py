"""The tables of what regions share and what that is held against: estimates, controls, how stable verdicts are."""

from typing import Any

import pandas as pd

from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.stability import OTHER_P, OTHER_Q, WITHOUT
from safety_regions.claims.verdict import MARKS
from safety_regions.report.columns import (
    COUNT,
    INTERVAL,
    NAME,
    NUMBER,
    PLACE,
    STAGE,
    Column,
    Table,
    WithInterval,
)
from safety_regions.report.numbers import UNDEFINED

ABOUT = (Column(NAME, "model", "model"), Column(NAME, "method", "method"), Column(STAGE, "refinement", "stage"))
"""What a row of one model, method and stage is about."""


def estimates_table(estimates: pd.DataFrame) -> Table:
    """IoU between sets; of halves: between sets, floor, ceiling and the place between these; with 95% intervals."""
    rows = []
    for row in estimates.to_dict("records"):
        iou, between, ceiling, place, unlimited = (
            WithInterval(*(row[f"{name}{end}"] for end in ("", "_low", "_high")))
            for name in ("iou", "between", "ceiling", "place", "unlimited")
        )
        controls = (row["seeds_iou"], row["size_matched_iou"], row["placebo_iou"])
        halves = [row["half_prompts"], between, ceiling, place, place]
        rows.append([*_about(row), iou, row["floor"], *halves, unlimited, *controls, row["n_sets"]])
    columns = (
        *ABOUT,
        Column(INTERVAL, "IoU between sets", "IoU"),
        Column(NUMBER, "floor"),
        Column(COUNT, "prompts of a half", "prompts of a half"),
        Column(INTERVAL, "halves of different sets", "between"),
        Column(INTERVAL, "ceiling: halves of one set", "ceiling"),
        Column(INTERVAL, "place", "place"),
        Column(PLACE, "0 to 1"),
        Column(INTERVAL, "unlimited prompts", "unlimited"),
        Column(NUMBER, "IoU of two seeds"),
        Column(NUMBER, "raw IoU at that size", "size-matched IoU"),
        Column(NUMBER, "without as much of a third safety set", "placebo IoU"),
        Column(NUMBER, "sets"),
    )
    caption = (
        "IoU between sets and what it lies between: the floor is chance (random regions of the same sizes), "
        "the ceiling the IoU of two disjoint halves of one set, beside it that of halves of different sets. "
        "Halves have half as many prompts, so the ceiling may be below the IoU between sets. "
        "Place of the halves of different sets: 0, as alike as chance; 1, as alike as two samples of one set; "
        "the fewer the prompts, the nearer to 1. "
        "Unlimited: the IoU between sets that unlimited prompts would give. In brackets 95% intervals."
    )
    return Table("estimates", caption, columns, rows, 3, "estimates.csv")


ESTIMATE_NAMES = {
    "iou": "IoU between sets",
    "between": "halves of different sets",
    "ceiling": "ceiling: halves of one set",
    "place": "place",
    "unlimited": "unlimited prompts",
    "apart": "ceiling less halves of different sets",
    "difference": "refined less raw IoU",
    "drop": "share of the IoU taken away",
    "beyond_size": "refined less raw IoU at that size",
    "placebo": "IoU without as much of a third safety set",
    "beyond_placebo": "refined IoU less that",
}


def influence_table(influence: pd.DataFrame) -> Table:
    """A line per estimate: the set that moves it most, and what it is without that set."""
    rows = [
        [
            *_about(row),
            ESTIMATE_NAMES[row["estimate"]],
            WithInterval(row["value"], row["low"], row["high"]),
            *(row["moved_by"], row["without"]),
        ]
        for row in influence.to_dict("records")
    ]
    columns = (
        *ABOUT,
        Column(NAME, "estimate"),
        Column(INTERVAL, "of all sets"),
        Column(NAME, "moved most by"),
        Column(NUMBER, "without it"),
    )
    caption = (
        "The safety set that moves each estimate most, and what the estimate is without it; in brackets 95% intervals. "
        "The verdicts without each set stand beside the verdicts."
    )
    return Table("influence", caption, columns, rows, 4, "influence.csv")


def alignment_table(alignment: pd.DataFrame) -> Table:
    """Regions before and after alignment beside the halves of one set, with 95% intervals."""
    rows = []
    for row in alignment.to_dict("records"):
        iou, crossed, apart, place, unlimited = (
            WithInterval(*(row[f"{name}{end}"] for end in ("", "_low", "_high")))
            for name in ("iou", "crossed", "apart", "place", "unlimited")
        )
        refused = f"{row['refused_before']:.2f}, {row['refused_after']:.2f}"
        about = [row["model"], row["method"], row["stage"], refused]
        ceilings = [row["ceiling_before"], row["ceiling_after"]]
        fixed = [row["fixed"], row["harmless"]]
        rows.append(
            [*about, iou, row["floor"], row["half_prompts"], crossed, *ceilings, apart, place, unlimited, *fixed]
        )
    columns = (
        *ABOUT,
        Column(NAME, "refused before, after", "refused"),
        Column(INTERVAL, "the same prompts, before and after", "IoU"),
        Column(NUMBER, "floor", "floor"),
        Column(COUNT, "prompts of a half", "prompts of a half"),
        Column(INTERVAL, "a half before, the other half after", "crossed"),
        Column(NUMBER, "two halves, before", "ceiling before"),
        Column(NUMBER, "two halves, after", "ceiling after"),
        Column(INTERVAL, "ceilings less crossed", "apart"),
        Column(INTERVAL, "place", "place"),
        Column(INTERVAL, "unlimited prompts", "unlimited"),
        Column(NUMBER, "with fixed responses", "fixed responses"),
        Column(NUMBER, "utility sets", "utility sets"),
    )
    caption = (
        "Regions of one model before and after its alignment: IoU of a safety set's regions from the same prompts, and "
        "from halves without a common prompt, beside that of two halves of the set in each model. "
        "Place of the halves: 0, as alike as chance; 1, as alike as two samples of one set in one model. "
        "Then what unlimited prompts would give, the IoU with responses that are the same before and after, and that "
        "of the utility sets. In brackets 95% intervals over the safety sets."
    )
    return Table("alignment", caption, columns, rows, 4, "alignment.csv")


def prompt_numbers_table(numbers: pd.DataFrame) -> Table:
    """A line for each number of prompts: the IoU between sets, and what unlimited prompts would give."""
    rows = [
        [
            *_about(row),
            *(row["n_prompts"], row["prompts"]),
            WithInterval(row["iou"], row["iou_low"], row["iou_high"]),
            row["floor"],
            WithInterval(row["unlimited"], row["unlimited_low"], row["unlimited_high"]),
        ]
        for row in numbers.to_dict("records")
    ]
    columns = (
        *ABOUT,
        Column(COUNT, "prompts", "prompts"),
        Column(NAME, "which of them", "which"),
        Column(INTERVAL, "IoU between sets", "IoU"),
        Column(NUMBER, "floor", "floor"),
        Column(INTERVAL, "unlimited prompts", "unlimited"),
    )
    caption = (
        "IoU between sets by the number of prompts that regions are identified from: the first ones of each set, "
        "halves of different sets, and all of them; beside it what unlimited prompts would give by the halves. In "
        "brackets 95% intervals over the sets."
    )
    return Table("prompt_numbers", caption, columns, rows, 5, "prompt_numbers.csv")


def utilities_table(utilities: pd.DataFrame) -> Table:
    """What is left with each utility set taken out, and with the union of them all."""
    rows = [
        [
            *(row["model"], row["method"], row["utility"], row["taken"]),
            *(WithInterval(*(row[f"{name}{end}"] for end in ("", "_low", "_high"))) for name in ("iou", "drop")),
            row["floor"],
        ]
        for row in utilities.to_dict("records")
    ]
    columns = (
        Column(NAME, "model", "model"),
        Column(NAME, "method", "method"),
        Column(NAME, "utility set taken out", "utility"),
        Column(NUMBER, "share of the regions taken", "taken"),
        Column(INTERVAL, "IoU between sets that is left", "refined IoU"),
        Column(INTERVAL, "share of the IoU taken away", "drop"),
        Column(NUMBER, "floor", "floor"),
    )
    caption = (
        "IoU between sets after refinement with each utility set by itself, and with the union of them all. "
        "In brackets 95% intervals over the sets."
    )
    return Table("utilities", caption, columns, rows, 3, "utilities.csv")


MARKED = ", ".join(f"{mark} {decision}" for decision, mark in MARKS.items())


def stability_table(stability: pd.DataFrame) -> Table:
    """A line per verdict: marks of the verdicts under other choices, that of the run in brackets."""
    shorts, rows = {claim.id: claim.short for claim in CATALOGUE}, []
    for (model, method, claim), of in stability.groupby(["model", "method", "claim"], sort=False):
        own = of["varied"] == ""
        marks = [
            _marks(of[own | (of["varied"] == fraction)].sort_values(fraction))
            if (of["varied"] == fraction).any()
            else ""
            for fraction in (OTHER_Q, OTHER_P)
        ]
        tried = of["agrees"][~own].dropna()
        agree = f"{int(tried.sum())} of {len(tried)}" if len(tried) else UNDEFINED
        verdict = of["verdict"][own].iloc[0]
        sets = _marks(of[of["varied"] == WITHOUT])
        rows.append([model, method, shorts.get(claim, claim), f"{MARKS[verdict]} {verdict}", *marks, sets, agree])
    names = ("model", "method", "claim", "verdict", "at each q", "at each p", "without each set", "agree")
    columns = [Column(NAME, name, name) for name in names]
    caption = (
        "Each verdict under other choices: at every fraction q of the grid, at every p, in brackets those of the run, "
        f"and without each safety set. {MARKED}. Last: in how many of those that were run the verdict is the same."
    )
    return Table("stability", caption, columns, rows, 3, "stability.csv")


def _marks(rows: pd.DataFrame) -> str:
    """A mark for each row; in brackets that of the verdict itself."""
    marks = [(MARKS[row["verdict"]], row["varied"]) for row in rows.to_dict("records")]
    return "".join(mark if varied else f"[{mark}]" for mark, varied in marks)


def confounds_table(confounds: pd.DataFrame) -> Table:
    """Rank correlation of IoU with what pairs of sets have in common."""
    rows = [
        [*_about(row), row["covariate"], row["rho"], row["p_value"], row["n_pairs"]]
        for row in confounds.to_dict("records")
    ]
    columns = (
        *ABOUT,
        Column(NAME, "what pairs share or differ in"),
        Column(NUMBER, "rank correlation"),
        Column(NUMBER, "p (permuted sets)"),
        Column(NUMBER, "pairs"),
    )
    caption = (
        "Does something else than harm move the IoU? "
        "Spearman's correlation over pairs of sets, p by permuting the sets' labels."
    )
    return Table("confounds", caption, columns, rows, 4, "confounds.csv")


def responses_table(responses: pd.DataFrame) -> Table:
    """IoU where only prompts or only responses change."""
    rows = [
        [*_about(row), row["comparison"], row["iou"], row["floor"], row["n_pairs"]]
        for row in responses.to_dict("records")
    ]
    columns = (
        *ABOUT,
        Column(NAME, "comparison"),
        Column(NUMBER, "IoU"),
        Column(NUMBER, "floor"),
        Column(NUMBER, "pairs"),
    )
    caption = "Do regions follow the prompts or the responses? Mean IoU of regions that have one of them in common."
    return Table("responses", caption, columns, rows, 4, "responses.csv")


def _about(row: dict[Any, Any]) -> list[str]:
    """The values of `ABOUT`."""
    return [row["model"], row["method"], row["stage"]]
