"""The page that opens a report: what was asked, what was found, and what stands in which file."""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from safety_regions.claims.render import to_markdown
from safety_regions.claims.verdict import Verdict
from safety_regions.report.answers import answers
from safety_regions.report.claim_tables import (
    MARKED,
    alignment_table,
    estimates_table,
    prompt_numbers_table,
    stability_table,
    utilities_table,
)
from safety_regions.report.columns import REFINEMENT, Table
from safety_regions.report.inputs import Facts
from safety_regions.report.judged import judged_table
from safety_regions.report.numbers import percent
from safety_regions.report.tables import (
    ReportTables,
    across_table,
    constrained_table,
    evaluation_table,
    headline_table,
)
from safety_regions.text import markdown_table

Lacking = dict[str, dict[str, int]]
"""By set and fraction: how many elements its region lacks."""
LEGEND = (
    "Files: `report.html` all of this to look around in, `appendix.pdf` every figure; `verdicts.*` the claims, "
    "`without.csv` without each set; `stability.csv` at other q and p; "
    "`influence.csv` the set that moves each estimate most; "
    "`estimates.csv` and",
    "`ceiling.*` IoU between chance and noise, with intervals; "
    "`drop.*` what refinement takes away at every p, `utilities.csv` with each utility set; "
    "`halves.csv` IoU of halves, set by set; "
    "`confounds.csv` and `confounds_pairs.*` what else IoU goes with;",
    "`responses.*` the same prompts with other responses. `headline.*` all models and methods at a glance;",
    "`<model>.<method>.iou_matrix.*` every pair of sets; `iou_threshold.*` IoU against the fraction; "
    "`surface.*` against p and q;",
    "`nway.*` as sets are added; `agreement.*` what at least k of them hold; `location.*` where the regions lie; "
    "`gap.*` and `sweep.*` how SafeLayer found its layers; `iou.csv`",
    "every pair at every fraction; `across.csv` regions of different methods on the weights they own; "
    "`evaluate.*` and `<model>.doses.*` models without",
    "their regions; `prompt_overlap.csv` prompts that sets share; `sources.csv` pins, licences and citations; "
    "`config.yaml` the configuration.",
    "Each figure is there as PDF, PNG and the CSV of what it shows. "
    "`metrics.json` holds the headline and the refusal rates for `dvc",
    "metrics diff`, `iou_bars.csv` and `<model>.<method>.iou_curves.csv` what `dvc plots diff` draws, "
    "as `dvc.yaml` says.",
)
PLACE = (
    "Ceiling: IoU of the regions of two disjoint halves of one set; between: of halves of different sets, so from as "
    "many prompts. Halves have fewer prompts than sets, so the IoU may be above the ceiling. "
    "Place: where between lies from 0 (chance) to 1 (ceiling); the fewer the prompts, the nearer to 1. "
    "Unlimited: the IoU between sets that unlimited prompts would give. "
    "In brackets 95% intervals over the sets. Size-matched: raw IoU of regions as small as the refined ones. "
    "Placebo: IoU without as much of a third safety set."
)
LACKING = (
    "**Warning.** These regions hold so many elements fewer than their fraction asks for. "
    "An element with a score of 0 is in no region."
)
STABLE = (
    "Each verdict at every fraction q of the grid, at every p, in brackets those of the run, and without each safety "
    f"set: {MARKED}. Last: in how many of those that were run the verdict is the same. Other scopes, seeds, numbers of "
    "prompts and response policies are other runs."
)
UTILITIES = (
    "What each utility set takes out of the regions by itself, beside the union of them all: share of the regions, IoU "
    "between sets that is left, share of the IoU that is gone. In brackets 95% intervals over the sets."
)
ACROSS = (
    "Mean IoU over the safety sets of the weights that two methods' regions own, in brackets the chance floor, "
    "and the overlap coefficient, before and after refinement."
)
ALIGNMENT = (
    "Regions of one model before and after its alignment: IoU of a set's regions from the same prompts; *crossed*, of "
    "a half of its prompts before and the other half after; *ceilings*, of two halves before and two after; *apart*, "
    "the mean of both ceilings less crossed. If that is next to nothing while refusals are not, the regions were there "
    "before the refusals were, and are not made by alignment. With responses that are the same before and after, what "
    "the model says plays no part. In brackets 95% intervals over the safety sets."
)
NUMBERS = (
    "IoU between sets by the number of prompts that regions are identified from: the *first* ones of each set, "
    "*halves* of different sets, and *all* of them; beside it what unlimited prompts would give by the halves. In "
    "brackets 95% intervals over the sets."
)
NUMBERS_FILES = "`prompt_numbers.*`: IoU between sets by the number of prompts."
ALIGNMENT_FILES = "`alignment.*`: regions before and after alignment, at every q."
CONSTRAINT = (
    "Fine-tuned on benign data with weights frozen, and with nothing frozen and weights put back at the end: share of "
    "held-out harmful prompts refused and degenerate, of harmless prompts refused, and loss and accuracy on held-out "
    "benign responses; means over seeds, in brackets the range of refusals between them."
)
EVALUATION = (
    "Share of held-out harmful prompts refused, degenerate and answered, of harmless prompts refused and degenerate, "
    "and perplexity, of models without a region, and without what is taken out instead of a refined one; "
    "in brackets the range over several draws. "
    "The last column says whether the refined region removes more refusals than any random one of its size."
)


def summary(
    config: dict,
    numbers: ReportTables,
    responses: dict[str, Facts],
    verdicts: Sequence[Verdict],
    lacking: dict[str, Lacking],
) -> str:
    """The page in Markdown: the answer, the claims, overlap within each method, across methods, what regions are worth,
    and what was refused.

    `responses`: by model, the facts of each set's responses. `lacking`: by model
    and method, the regions that hold fewer elements than their fraction asks for.
    """
    datasets, thresholds = config["datasets"], config["thresholds"]
    # Without replicates there is nothing between chance and noise.
    placed = numbers.estimates[numbers.estimates["ceiling"].notna()]
    overlap = (
        f"Mean IoU over pairs of safety sets at q = {thresholds['q']:g}, before and after refinement with the union of "
        f"the utility regions at p = {thresholds['p']:g}; "
        "in brackets the chance floor (random regions of the same sizes). "
        "The last columns: IoU of all safety sets together."
    )
    lines = [
        f"# Safety regions: {config['name']}",
        "",
        f"{len(config['models'])} models, {len(datasets['safety'])} safety sets, "
        f"{len(datasets['utility'])} utility sets, {datasets['n_samples']} prompts each (seed {datasets['seed']}), "
        f"responses: {config['responses']['policy']}, scope: {thresholds['scope']}.",
        "",
        "## The answer",
        "",
        *(
            f"- **{answer.question}** {' '.join([*answer.sentences, *answer.decided])}"
            for answer in answers(config, numbers, verdicts)
        ),
        "",
        "## What holds",
        "",
        to_markdown(verdicts).rstrip(),
        "",
        *_section("Fine-tuned under a constraint", CONSTRAINT, constrained_table, numbers.constrained),
        *_section("How stable the verdicts are", STABLE, stability_table, numbers.stability),
        *_section("Overlap of the safety sets' regions", overlap, headline_table, numbers.headline),
        *_lacking(lacking, config),
        *_agreement(numbers.agreement),
        *_section("Between chance and noise", PLACE, estimates_table, placed),
        *_section("By the number of prompts", NUMBERS, prompt_numbers_table, numbers.prompt_numbers),
        *_section("Each utility set by itself", UTILITIES, utilities_table, numbers.utilities),
        *_section("Different methods on the same set", ACROSS, across_table, numbers.across),
        *_section("Before and after alignment", ALIGNMENT, alignment_table, numbers.alignment),
        *_section("Models without their regions", EVALUATION, evaluation_table, numbers.evaluated),
        *_judged(numbers.judged),
        "## Refusals",
        "",
        "Share of the responses that refuse / that are degenerate, by model and set:",
        "",
        *_refusals(responses, [*datasets["safety"], *datasets["utility"]]),
        "",
        *_cut(responses),
        "",
        *_distinct(responses, [*datasets["safety"], *datasets["utility"]]),
        *_repeats(responses),
        *LEGEND,
        *([ALIGNMENT_FILES] if len(numbers.alignment) else []),
        *([NUMBERS_FILES] if len(numbers.prompt_numbers) else []),
    ]
    return "\n".join(lines) + "\n"


def _section(title: str, text: str, make: Callable[[pd.DataFrame], Table], numbers: pd.DataFrame) -> list[str]:
    """A table under its heading; nothing without numbers."""
    return [f"## {title}", "", text, "", *make(numbers).markdown(), ""] if len(numbers) else []


def _judged(judged: pd.DataFrame) -> list[str]:
    """By what outcomes were told, where that is a judge."""
    return _section("Who told the outcomes", judged_table(judged).caption, judged_table, judged) if len(judged) else []


def _lacking(lacking: dict[str, Lacking], config: dict) -> list[str]:
    """A warning of regions that lack elements at their fraction: q of safety sets, p of utility sets."""
    datasets, thresholds = config["datasets"], config["thresholds"]
    fractions = dict.fromkeys(datasets["utility"], str(thresholds["p"]))
    fractions |= dict.fromkeys(datasets["safety"], str(thresholds["q"]))
    lines = []
    for about, sets in lacking.items():
        numbers = {name: of.get(fractions.get(name, ""), 0) for name, of in sets.items()}
        told = ", ".join(f"{name} {n}" for name, n in numbers.items() if n)
        lines += [f"- {about}: {told}"] if told else []
    return [LACKING, "", *lines, ""] if lines else []


def _agreement(agreement: pd.DataFrame) -> list[str]:
    """Of each model, method and stage in words how much of a region all sets hold, and at least half of them."""
    if agreement.empty:
        return []
    lines = []
    for (model, method, stage), rows in agreement.groupby(["model", "method", "stage"], sort=False):
        n_sets, of = int(rows["n_sets"].max()), rows.set_index("n_sets")
        if not of["held"].iloc[0] > 0:
            continue
        shares = [
            "{} (chance {})".format(
                *(_share(of[column][k] / of["held"][k]) for column in ("elements", "floor_elements"))
            )
            for k in (n_sets, math.ceil(n_sets / 2))
        ]
        lines.append(
            f"- {model}, {method}, {REFINEMENT[stage]} refinement: {n_sets} sets; of the mean region's elements "
            f"{shares[0]} are in all, {shares[1]} in at least half."
        )
    return ["## What the sets agree on", "", *lines, ""] if lines else []


def _share(share: float) -> str:
    """With three significant digits."""
    return percent(float(f"{share:.3g}"))


def _refusals(responses: dict[str, Facts], names: list[str]) -> list[str]:
    rows = [[model, *(_shares(sets[name]) for name in names)] for model, sets in responses.items()]
    return markdown_table(["model", *names], rows)


def _shares(facts: dict) -> str:
    return f"{facts['share_refused']:.2f} / {facts['share_degenerate']:.2f}"


def _distinct(responses: dict[str, Facts], names: list[str]) -> list[str]:
    """How many different responses each set has, and the share of the commonest; nothing where it is not known."""
    rows = [
        [
            model,
            *(f"{sets[name]['n_distinct_responses']} ({sets[name]['share_commonest_response']:.2f})" for name in names),
        ]
        for model, sets in responses.items()
        if all("n_distinct_responses" in sets[name] for name in names)
    ]
    told = "Responses that differ by more than case and punctuation, in brackets the share of the commonest:"
    return [told, "", *markdown_table(["model", *names], rows), ""] if rows else []


def _foreign(sets: Facts) -> str:
    """In which sets answers are not in English, whose refusals alone are known; nothing if there are none."""
    found = [f"{facts['n_foreign']} of {name}" for name, facts in sets.items() if facts.get("n_foreign")]
    return f" Not in English, so that refusals among them are not known: {', '.join(found)}." if found else ""


def _repeats(responses: dict[str, Facts]) -> list[str]:
    """How many prompts of each set repeat one before them; nothing where none does."""
    repeats = {name: facts.get("n_repeats", 0) for sets in responses.values() for name, facts in sets.items()}
    told = ", ".join(f"{name} {n}" for name, n in repeats.items() if n)
    return [f"Prompts that repeat one before them but for case and punctuation: {told}.", ""] if told else []


def _cut(responses: dict[str, Facts]) -> list[str]:
    """How many responses were cut at the length limit, empty, left out or not in English, over the sets of each
    model.
    """
    lines = []
    for model, sets in responses.items():
        n, n_cut, n_empty, n_out = (
            sum(facts.get(key, 0) for facts in sets.values()) for key in ("n_samples", "n_cut", "n_empty", "n_left_out")
        )
        left_out = f", of which {n_out}, without a token, were left out" if n_out else ""
        # A response that the model ended has a token at least, so those left out were cut as well; `n_cut` is of the
        # others.
        cut = f"{n_cut + n_out} were cut at the length limit, {n_empty} empty{left_out}"
        lines.append(f"{model}: of {n + n_out} responses {cut}.{_foreign(sets)}  ")
    return lines
