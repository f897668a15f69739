"""The tables of a report, each made once for the page and the summary alike."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import pandas as pd

from safety_regions.claims.constrained import ALIGNED, REWOUND
from safety_regions.models.outcomes import RATES
from safety_regions.overlap.counts import STAGES
from safety_regions.report.claim_tables import (
    alignment_table,
    confounds_table,
    estimates_table,
    influence_table,
    prompt_numbers_table,
    responses_table,
    stability_table,
    utilities_table,
)
from safety_regions.report.columns import (
    ANSWER,
    CONDITION,
    COUNT,
    IOU,
    NAME,
    NUMBER,
    PERPLEXITY,
    RATE,
    SHARE,
    TAKEN_OUT,
    BesideFloor,
    Column,
    OverDraws,
    Table,
)
from safety_regions.report.constrained import in_words, last, over_seeds
from safety_regions.report.judged import judged_table
from safety_regions.report.names import Names


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
    judged: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Answers by what a judge told and what patterns say (`safety_regions.report.judged`)."""
    constrained: pd.DataFrame = field(default_factory=pd.DataFrame)
    moved: pd.DataFrame = field(default_factory=pd.DataFrame)
    across: pd.DataFrame = field(default_factory=pd.DataFrame)
    alignment: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Regions before and after alignment at the run's q (`safety_regions.claims.alignment`)."""
    prompt_numbers: pd.DataFrame = field(default_factory=pd.DataFrame)
    """IoU by number of prompts (`safety_regions.claims.prompt_numbers`)."""
    sets: pd.DataFrame = field(default_factory=pd.DataFrame)
    """One row per model and set: the facts of its responses."""
    shared_prompts: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The prompts that sets have in common (`safety_regions.data.prompt_overlap`)."""
    sources: pd.DataFrame = field(default_factory=pd.DataFrame)

    def titled(self, names: Names) -> "ReportTables":
        """The same with titles for ids, to be read; sources keep their ids, and have their titles beside them."""
        tables = {field.name: getattr(self, field.name) for field in fields(self)}
        told = {name: names.table(table) for name, table in tables.items() if name != "sources"}
        return replace(self, **told)


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
        (judged_table, numbers.judged),
        (constrained_table, numbers.constrained),
        (across_table, numbers.across),
        (alignment_table, numbers.alignment),
        (prompt_numbers_table, numbers.prompt_numbers),
        (sets_table, numbers.sets),
        (shared_prompts_table, numbers.shared_prompts),
        (sources_table, numbers.sources),
    )
    tables = [make(frame) for make, frame in makers if len(frame)]
    return {table.name: table for table in tables}


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


def evaluation_table(evaluated: pd.DataFrame) -> Table:
    """Each region, and its controls; of several draws of one their mean and range."""
    rows = []
    for (model, method, name), of_set in evaluated.groupby(["model", "method", "set"], sort=False):
        for condition in TAKEN_OUT:
            draws = of_set[of_set["condition"] == condition]
            if len(draws):
                # The share of harmless prompts that are answered is the rest.
                rates = [_over_draws(draws[column]) for column in (*RATES[:-1], "perplexity")]
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


def shared_prompts_table(shared: pd.DataFrame) -> Table:
    """Of every two sets the prompts in both, those with most first; of one set beside itself those that repeat."""
    rows = [
        [row["a"], row["b"], row["exact"], row["near_a"], row["near_b"], row["n_a"], row["n_b"]]
        for row in shared.sort_values(["exact", "near_a"], ascending=False, kind="stable").to_dict("records")
    ]
    columns = [
        *(Column(NAME, name) for name in ("set", "other set")),
        Column(COUNT, "prompts in both"),
        Column(NUMBER, "share of the first with one alike in the other"),
        Column(NUMBER, "share of the other with one alike in the first"),
        *(Column(COUNT, name) for name in ("prompts of the first", "of the other")),
    ]
    caption = (
        "Prompts that sets share, word for word or nearly; of a set beside itself those that repeat one before them. "
        "What two sets share makes their regions alike by that alone."
    )
    return Table("shared_prompts", caption, columns, rows, 2, "prompt_overlap.csv")


def sources_table(sources: pd.DataFrame) -> Table:
    """The sources as they are."""
    return _as_it_is("sources", "Data and models, with the pin of what was fetched.", sources, "sources.csv")


def _as_it_is(name: str, caption: str, table: pd.DataFrame, file: str = "") -> Table:
    columns = [Column(NUMBER, str(column).replace("_", " ")) for column in table.columns]
    return Table(name, caption, columns, list(table.itertuples(index=False)), 2, file)


def _range(values: pd.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())
