"""The tables of a report, each made once for the page and the summary alike."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.constrained import ALIGNED, REWOUND
from safety_regions.claims.stability import OTHER_P, OTHER_Q, WITHOUT
from safety_regions.claims.verdict import MARKS
from safety_regions.overlap.counts import STAGES
from safety_regions.report.columns import (
    ANSWER,
    CONDITION,
    COUNT,
    INTERVAL,
    IOU,
    NAME,
    NUMBER,
    PERPLEXITY,
    PLACE,
    RATE,
    SHARE,
    STAGE,
    TAKEN_OUT,
    BesideFloor,
    Column,
    OverDraws,
    Table,
    WithInterval,
)
from safety_regions.report.constrained import in_words, last, over_seeds
from safety_regions.report.numbers import UNDEFINED

ABOUT = (Column(NAME, "model", "model"), Column(NAME, "method", "method"), Column(STAGE, "refinement", "stage"))
"""What a row of one model, method and stage is about."""


@dataclass(frozen=True)
class ReportTables:
    """The numbers of a run, as the CSVs of its report have them; a table that the run does not have is empty."""

    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    headline: pd.DataFrame = field(default_factory=pd.DataFrame)
    estimates: pd.DataFrame = field(default_factory=pd.DataFrame)
    influence: pd.DataFrame = field(default_factory=pd.DataFrame)
    utilities: pd.DataFrame = field(default_factory=pd.DataFrame)
    agreement: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Elements that at least `n_sets` sets hold (`safety_regions.overlap.tables.agreement_table`)."""
    stability: pd.DataFrame = field(default_factory=pd.DataFrame)
    confounds: pd.DataFrame = field(default_factory=pd.DataFrame)
    responses: pd.DataFrame = field(default_factory=pd.DataFrame)
    evaluated: pd.DataFrame = field(default_factory=pd.DataFrame)
    constrained: pd.DataFrame = field(default_factory=pd.DataFrame)
    moved: pd.DataFrame = field(default_factory=pd.DataFrame)
    across: pd.DataFrame = field(default_factory=pd.DataFrame)
    sets: pd.DataFrame = field(default_factory=pd.DataFrame)
    """One row per model and set: the facts of its responses."""
    sources: pd.DataFrame = field(default_factory=pd.DataFrame)


def page_tables(numbers: ReportTables) -> dict[str, Table]:
    """The tables of the page by name; those without a row are left out."""
    makers = (
        (headline_table, numbers.headline),
        (estimates_table, numbers.estimates),
        (influence_table, numbers.influence),
        (utilities_table, numbers.utilities),
        (stability_table, numbers.stability),
        (confounds_table, numbers.confounds),
        (responses_table, numbers.responses),
        (evaluation_table, numbers.evaluated),
        (constrained_table, numbers.constrained),
        (across_table, numbers.across),
        (sets_table, numbers.sets),
        (sources_table, numbers.sources),
    )
    tables = [make(frame) for make, frame in makers if len(frame)]
    return {table.name: table for table in tables}


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


def headline_table(headline: pd.DataFrame) -> Table:
    """Mean IoU over pairs and of all sets together, with the floor of each."""
    prefixes = ("", "nway_")
    rows = [
        [
            *(row["model"], row["method"]),
            *(BesideFloor(row[f"{n}iou_{stage}"], row[f"{n}floor_{stage}"]) for n in prefixes for stage in STAGES),
        ]
        for row in headline.to_dict("records")
    ]
    columns = (
        Column(NAME, "model", "model"),
        Column(NAME, "method", "method"),
        Column(IOU, "pairs, before", "IoU before"),
        Column(IOU, "pairs, after", "IoU after"),
        Column(IOU, "all sets, before", "all sets before"),
        Column(IOU, "all sets, after", "all sets after"),
    )
    caption = "Mean IoU over pairs of safety sets, and IoU of all of them together; in brackets the chance floor."
    return Table("headline", caption, columns, rows, 2, "headline.csv")


def across_table(across: pd.DataFrame) -> Table:
    """Means over the safety sets, for each pair of methods."""
    measures = ["iou", "floor_iou", "overlap_coefficient"]
    means = across.groupby(["model", "a", "b", "stage"], sort=False)[measures].mean()
    rows = []
    for model, a, b in dict.fromkeys(key[:3] for key in means.index):
        values: list[Any] = []
        for stage in STAGES:
            iou, floor, coefficient = means.loc[(model, a, b, stage)]
            values += [BesideFloor(iou, floor), coefficient]
        rows.append([model, f"{a}, {b}", *values])
    columns = (
        Column(NAME, "model", "model"),
        Column(NAME, "methods", "methods"),
        Column(IOU, "IoU before", "IoU before"),
        Column(NUMBER, "coefficient before", "coefficient"),
        Column(IOU, "IoU after", "IoU after"),
        Column(NUMBER, "coefficient after", "coefficient"),
    )
    caption = (
        "Regions of different methods on the same set, by the weights they own: "
        "mean IoU over the safety sets, in brackets the chance floor, and the overlap coefficient."
    )
    return Table("across", caption, columns, rows, 2, "across.csv")


RATES = ("refusal_rate", "degenerate_rate", "answer_rate", "over_refusal_rate", "harmless_degenerate_rate")
"""Columns of evaluate.csv that are shown. The share of harmless prompts answered is the rest."""


def evaluation_table(evaluated: pd.DataFrame) -> Table:
    """Each region, and its controls; of several draws of one their mean and range."""
    rows = []
    for (model, method, name), of_set in evaluated.groupby(["model", "method", "set"], sort=False):
        for condition in TAKEN_OUT:
            draws = of_set[of_set["condition"] == condition]
            if len(draws):
                rates = [_over_draws(draws[column]) for column in (*RATES, "perplexity")]
                # A table read from CSV has words here.
                more = str(draws["removes_more_than_random"].iloc[0]) == "True" if condition == "refined" else None
                rows.append([model, method, name, condition, draws["share_of_weights"].mean(), *rates, more])
    columns = (
        Column(NAME, "model", "model"),
        Column(NAME, "method", "method"),
        Column(NAME, "set", "set"),
        Column(CONDITION, "taken out", "taken out"),
        Column(SHARE, "share of weights", "weights"),
        Column(RATE, "harmful refused", "refused"),
        Column(RATE, "harmful degenerate", "degenerate"),
        Column(RATE, "harmful answered", "answered"),
        Column(RATE, "harmless refused", "harmless refused"),
        Column(RATE, "harmless degenerate", "harmless degenerate"),
        Column(PERPLEXITY, "perplexity", "perplexity"),
        Column(ANSWER, "more than random", "more than random"),
    )
    caption = (
        "Share of held-out harmful and of harmless prompts with each outcome, and perplexity, of the model without the "
        "region, and without what is taken out instead of the refined one; degenerate: nothing that could be read; "
        "in brackets the range over several draws. "
        "Last: whether the refined region removes more refusals than any random one of its size."
    )
    return Table("evaluate", caption, columns, rows, 4, "evaluate.csv")


def _over_draws(values: pd.Series) -> OverDraws:
    return OverDraws(values.mean(), _range(values) if len(values) > 1 else None)


def constrained_table(constrained: pd.DataFrame) -> Table:
    """After the last step: what is refused by what was frozen, or put back, with the range between seeds."""
    rows = []
    for row in last(over_seeds(constrained)).to_dict("records"):
        condition = row["condition"]
        done = "" if condition == ALIGNED else "put back" if condition.startswith(REWOUND) else "frozen"
        refused = OverDraws(row["refusal_rate"], (row["refusal_low"], row["refusal_high"]))
        others = [OverDraws(row[column], None) for column in ("degenerate_rate", "over_refusal_rate")]
        about = [row["model"], row["method"], f"{row['learning_rate']:g}", done, in_words(condition)]
        rows.append([*about, row["share_of_weights"], refused, *others, row["benign_loss"], row["benign_accuracy"]])
    columns = (
        Column(NAME, "model", "model"),
        Column(NAME, "method", "method"),
        Column(NAME, "learning rate", "rate"),
        Column(NAME, "what was done", "done"),
        Column(NAME, "with which weights", "weights"),
        Column(SHARE, "share of weights", "share"),
        Column(RATE, "harmful refused", "refused"),
        Column(RATE, "harmful degenerate", "degenerate"),
        Column(RATE, "harmless refused", "harmless refused"),
        Column(NUMBER, "benign loss", "benign loss"),
        Column(NUMBER, "benign accuracy", "benign accuracy"),
    )
    caption = (
        "Fine-tuned on benign data with weights frozen, and with nothing frozen and weights put back at the end: "
        "means over seeds of training, in brackets their range. "
        "Loss and accuracy are those of held-out benign responses."
    )
    return Table("constrain", caption, columns, rows, 5, "constrain_seeds.csv")


def sets_table(sets: pd.DataFrame) -> Table:
    """The facts of each set as they are."""
    caption = (
        "Responses by model and set: how many refuse, how many were cut at the length limit, and how many differ by "
        "more than case and punctuation."
    )
    return _as_it_is("sets", caption, sets)


def sources_table(sources: pd.DataFrame) -> Table:
    """The sources as they are."""
    return _as_it_is("sources", "Data and models, with the pin of what was fetched.", sources, "sources.csv")


def _as_it_is(name: str, caption: str, table: pd.DataFrame, file: str = "") -> Table:
    columns = [Column(NUMBER, str(column).replace("_", " ")) for column in table.columns]
    return Table(name, caption, columns, list(table.itertuples(index=False)), 2, file)


def _about(row: dict[Any, Any]) -> list[str]:
    """The values of `ABOUT`."""
    return [row["model"], row["method"], row["stage"]]


def _range(values: pd.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())
