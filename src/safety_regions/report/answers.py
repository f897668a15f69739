"""What a run says to the questions that it was made for: plain sentences, and one table of what stands behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from safety_regions.claims.verdict import FAILS, HOLDS, NOT_APPLICABLE, NOT_RUN, UNDECIDED, Verdict
from safety_regions.report.columns import INTERVAL, NAME, STRIP, Column, Strip, Table, WithInterval
from safety_regions.report.names import ALL_UTILITY
from safety_regions.report.numbers import MINUS, with_interval, words
from safety_regions.report.tables import ReportTables
from safety_regions.text import and_list

KEYS = ["model", "method"]


@dataclass(frozen=True)
class Answer:
    """A question of the study, and what the run says to it."""

    question: str
    sentences: list[str]
    """The first is the answer itself."""
    decided: list[str]
    """The claims that it rests on, and how often each holds."""


def answers(config: dict[str, Any], tables: ReportTables, verdicts: Sequence[Verdict]) -> list[Answer]:
    """The questions that the run has numbers for. `tables` and `verdicts` have titles for ids."""
    found = (
        Answer(
            "How far do the regions of different safety sets overlap?",
            _overlap(config, tables),
            _counted(verdicts, "above_chance", "at_most_moderate", "beyond_noise", "nothing_common"),
        ),
        Answer(
            "How much of that is left without what harmless sets need?",
            _refinement(config, tables),
            _counted(verdicts, "drops_when_refined", "not_size_alone", "beyond_placebo"),
        ),
        Answer(
            "Do the regions matter for refusals?",
            _matters(tables, verdicts),
            _counted(verdicts, "matters", "about_harm"),
        ),
        Answer("Are the regions there before the model is aligned?", _alignment(tables), []),
        Answer(
            "Does freezing a region protect refusals in fine-tuning?",
            _freezing(tables, verdicts),
            _counted(verdicts, "freezing_protects", "rewinding_restores", "region_moves"),
        ),
    )
    return [answer for answer in found if answer.sentences]


def _overlap(config: dict[str, Any], tables: ReportTables) -> list[str]:
    raw = _of_stage(tables.estimates, "raw")
    if raw.empty:
        return []
    n = len(config["datasets"]["safety"])
    sentences = [
        f"Two of the {n} safety sets have regions with an IoU of {_middle(raw, 'iou')}; "
        f"random regions of the same sizes have {words(float(raw['floor'].median()))}."
    ]
    placed = raw[raw["place"].notna()]
    if len(placed):
        sentences.append(
            f"On a line from chance (0) to two halves of one set (1) different sets stand at "
            f"{_middle(placed, 'place')}, all from {words(float(placed['half_prompts'].median()))} prompts."
        )
    return sentences


def _refinement(config: dict[str, Any], tables: ReportTables) -> list[str]:
    refined = _of_stage(tables.estimates, "refined")
    if refined.empty:
        return []
    n = len(config["datasets"]["utility"])
    taken_out = "the utility set" if n == 1 else f"the {n} utility sets"
    sentences = [f"Without the regions of {taken_out} the IoU is {_middle(refined, 'iou')}."]
    utilities = tables.utilities
    if len(utilities):
        union = utilities[utilities["utility"] == ALL_UTILITY]
        drops = union[union["drop"].notna()]
        if len(drops):
            sentences.append(f"That is {_middle(drops, 'drop')} of it taken away.")
        single = utilities[~utilities.index.isin(union.index)].groupby("utility", sort=False)["drop"].median().dropna()
        if len(single) > 1:
            each = and_list([f"{name} {words(float(drop))}" for name, drop in single.items()])
            sentences.append(f"One utility set alone takes away (median): {each}.")
    placebo = (1 - refined["placebo_iou"] / _beside(tables.estimates, refined)["iou"]).dropna()
    if len(placebo):
        sentences.append(f"As much of a third safety set takes away {words(float(placebo.median()))} (median).")
    return sentences


def _matters(tables: ReportTables, verdicts: Sequence[Verdict]) -> list[str]:
    asked = tables.evaluated["n_harmful"].max() if "n_harmful" in tables.evaluated else None
    prompts = f" of {asked:.0f} held-out harmful prompts" if asked is not None and pd.notna(asked) else ""
    sentences = _yes_or_no(verdicts, "matters")
    if spread := _spread(verdicts, "matters"):
        sentences.append(
            f"The share refused{prompts} without the region, less that without the control that costs most: {spread}."
        )
    return sentences


def _alignment(tables: ReportTables) -> list[str]:
    rows = tables.alignment
    sentences = []
    for (model, base), of in rows.groupby(["model", "base"], sort=False) if len(rows) else ():
        first, raw = of.iloc[0], of[of["stage"] == "raw"]
        ceilings = raw[["ceiling_before", "ceiling_after"]].mean(axis=1)
        if raw["crossed"].notna().any():
            sentences.append(
                f"The region of one half of a set's prompts in {base} and that of the other half in {model} have "
                f"an IoU of {_middle(raw, 'crossed')}; two halves in one model have {words(float(ceilings.median()))}."
            )
        sentences.append(f"From the same prompts it is {_middle(raw, 'iou')}.")
        refused = [words(float(first[f"refused_{when}"])) for when in ("before", "after")]
        sentences.append(f"{base} refuses {refused[0]} of the safety sets' prompts, {model} {refused[1]}.")
    return sentences


def _freezing(tables: ReportTables, verdicts: Sequence[Verdict]) -> list[str]:
    sentences = _yes_or_no(verdicts, "freezing_protects")
    if spread := _spread(verdicts, "freezing_protects"):
        seeds = tables.constrained["seed"].nunique() if "seed" in tables.constrained else 0
        over = f" over {seeds} seeds" if seeds > 1 else ""
        sentences.append(
            f"The share of refusals kept{over} with the region frozen, less that with the control that keeps most: "
            f"{spread}."
        )
    return sentences


def _of_stage(estimates: pd.DataFrame, stage: str) -> pd.DataFrame:
    return estimates[(estimates["stage"] == stage) & estimates["iou"].notna()] if len(estimates) else estimates


def _beside(estimates: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The raw rows of the same models and methods, under the index of `rows`."""
    raw = estimates[estimates["stage"] == "raw"].set_index(KEYS)
    return raw.reindex(pd.MultiIndex.from_frame(rows[KEYS])).set_index(rows.index)


def _middle(rows: pd.DataFrame, column: str) -> str:
    """A number with its interval; of several models and methods the median and the range."""
    values = rows[column].dropna()
    if len(values) == 1:
        of = rows.loc[values.index[0]]
        return with_interval(of[column], of[f"{column}_low"], of[f"{column}_high"])
    ends = " to ".join(words(float(end)) for end in (values.min(), values.max()))
    return f"{words(float(values.median()))} (median over {len(values)} pairs of model and method; {ends})"


def _yes_or_no(verdicts: Sequence[Verdict], claim: str) -> list[str]:
    """A sentence that answers by the verdicts on a claim; none where it was asked nowhere."""
    told = _told(verdicts, claim, {HOLDS: "yes in", FAILS: "no in", UNDECIDED: "not decided in"})
    return [f"{told[:1].upper()}{told[1:]}."] if told else []


def _counted(verdicts: Sequence[Verdict], *claims: str) -> list[str]:
    """A sentence per claim that was asked anywhere: what was decided how often, and how often it was not asked."""
    parts = {HOLDS: "holds in", FAILS: "does not hold in", UNDECIDED: "is undecided in"}
    told = {claim: _told(verdicts, claim, parts) for claim in claims}
    statements = {verdict.claim.id: verdict.claim.statement.rstrip(".") for verdict in verdicts}
    return [f"“{statements[claim]}”: {words}." for claim, words in told.items() if words]


def _told(verdicts: Sequence[Verdict], claim: str, parts: dict[str, str]) -> str:
    """How often each was decided, in these words; nothing where nothing was asked."""
    of = [verdict.outcome.decision for verdict in verdicts if verdict.claim.id == claim]
    n_asked = sum(decision in parts for decision in of)
    if not n_asked:
        return ""
    told = and_list([f"{said} {of.count(decision)}" for decision, said in parts.items() if decision in of])
    rest = [f"{decision} in {of.count(decision)}" for decision in (NOT_RUN, NOT_APPLICABLE) if decision in of]
    return f"{told} of {n_asked} cases" + (f" ({', '.join(rest)})" if rest else "")


def _spread(verdicts: Sequence[Verdict], claim: str) -> str:
    """The smallest and the largest effect of all that were measured, with their intervals: the one that stands out
    among many says less than its interval does.
    """
    measured = sorted(
        (verdict for verdict in verdicts if verdict.claim.id == claim and pd.notna(verdict.outcome.effect)),
        key=lambda verdict: verdict.outcome.effect,
    )
    ends = measured[:1] if len(measured) == 1 else [*measured[:1], *measured[-1:]]
    return " to ".join(f"{_number(verdict)} ({_about(verdict)})" for verdict in ends)


def _about(verdict: Verdict) -> str:
    return f"{verdict.model} by {verdict.method}"


def _number(verdict: Verdict) -> str:
    outcome = verdict.outcome.rounded()
    text = with_interval(outcome.effect, outcome.low, outcome.high)
    return text if text.startswith(MINUS) else f"+{text}"


def glance_table(estimates: pd.DataFrame, verdicts: Sequence[Verdict]) -> Table:
    """A line for each model and method: IoU before and after refinement as a drawing and as numbers, the share that
    refinement takes away, and the place between chance and two halves of one set.
    """
    drops = {(v.model, v.method): v.outcome for v in verdicts if v.claim.id == "drops_when_refined"}
    rows = []
    for (model, method), of in estimates.groupby(KEYS, sort=False) if len(estimates) else ():
        stages = dict(zip(of["stage"], of.to_dict("records"), strict=True))
        raw, refined = (_estimate(stages.get(stage, {}), "iou") for stage in ("raw", "refined"))
        floor = float(stages.get("raw", {}).get("floor", float("nan")))
        drop = drops.get((model, method))
        share = WithInterval(drop.effect, drop.low, drop.high) if drop else WithInterval(*[float("nan")] * 3)
        place = _estimate(stages.get("raw", {}), "place")
        rows.append([model, method, Strip(raw, refined, floor), raw, refined, share, place, of["n_sets"].max()])
    columns = (
        Column(NAME, "model", "model"),
        Column(NAME, "method", "method"),
        Column(STRIP, "from 0 to 1: ● before, □ after, | chance"),
        Column(INTERVAL, "IoU before", "IoU before"),
        Column(INTERVAL, "IoU after", "IoU after"),
        Column(INTERVAL, "share taken away", "taken away"),
        Column(INTERVAL, "place from chance (0) to two halves of one set (1)", "place"),
        Column(NAME, "sets", "sets"),
    )
    caption = (
        "IoU of two safety sets' regions before and after the utility regions are taken out, mean over pairs of sets. "
        "In brackets 95% intervals over the sets."
    )
    return Table("glance", caption, columns, rows, 2, "estimates.csv")


def _estimate(row: dict[Any, Any], name: str) -> WithInterval:
    return WithInterval(*(float(row.get(f"{name}{end}", float("nan"))) for end in ("", "_low", "_high")))
