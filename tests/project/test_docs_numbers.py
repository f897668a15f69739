"""Numbers that README and docs/claims.md quote of the published run are those of its tables.

A page's quotes hold every part of a sentence with numbers that are left open, and where these come from; what it comes
to must stand in the page. What is left of the page's section must hold no number but those of `KNOWN`.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "figures/study"
ALIGNED, STOCK = "smollm2-135m-aligned", "smollm2-135m"
BOTH = ("qwen2_5-coder-0_5b", ALIGNED)
MODELS = (*BOTH, STOCK)
"""Those that refuse, and the control."""
READ_RESPONSES = ("snip", "wanda")
WEIGHED = ("snip", "wanda", "safeneuron")
"""Regions of these are compared before and after alignment."""
NAMED = {"snip": "SNIP", "wanda": "Wanda", "safeneuron": "SafeNeuron", "nlsr": "NLSR"}
"""Methods: all but SafeLayer."""
MARKS = {"holds": "✓", "does not hold": "✗", "undecided": "?", "not applicable": "·"}
NUMBER = re.compile(r"-?(?<![\w.])\d*\.?\d+(?![\w])")


@cache
def table(name: str) -> pd.DataFrame:
    return pd.read_csv(STUDY / f"{name}.csv")


def cells(name: str, model: str, **at: object) -> pd.DataFrame:
    rows = table(name)
    for column, value in {"model": model, **at}.items():
        rows = rows[rows[column] == value]
    return rows


def row(name: str, model: str, method: str, **at: object) -> pd.Series:
    (found,) = (of for _, of in cells(name, model, method=method, **at).iterrows())
    return found


def short(value: float, digits: int = 2) -> str:
    """As the pages write shares: .51, -.04, 1.00."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(round(value, digits)) < 1 else f"{value:.{digits}f}"


def largest_floor() -> float:
    """Before refinement, of methods whose regions are no ranges of layers."""
    rows = table("estimates")
    return rows[(rows["stage"] == "raw") & (rows["method"] != "safelayer")]["floor"].max()


def effect(claim: str, model: str, method: str) -> float:
    return row("verdicts", model, method, claim=claim)["effect"]


def mark(claim: str, model: str, method: str) -> str:
    of = row("verdicts", model, method, claim=claim)
    return MARKS[of["verdict"]] + ("" if pd.isna(of["effect"]) else f" {short(of['effect'])}")


def range_of(comparison: str) -> str:
    """Least and most over pairs of regions, SNIP and Wanda, all models; single pairs stand in the verdicts' reasons."""
    rows = table("verdicts")
    reasons = rows[(rows["claim"] == "follows_response") & rows["method"].isin(READ_RESPONSES)]["reason"]
    found = reasons.str.extract(rf"(?i:{comparison}): (\d\.\d+)(?: to (\d\.\d+))?").astype(float)
    return span(found.stack().tolist())


def span(values: list[float]) -> str:
    return f"{short(min(values))} to {short(max(values))}"


def snip_drop(p: float) -> str:
    """On the aligned model."""
    curve = table(f"{ALIGNED}.snip.surface")
    at_q = curve[curve["q"] == 0.05].set_index("p")["iou"]
    return short(1 - at_q[p] / at_q[0.0])


def aligned(column: str, method: str, stage: str = "raw") -> float:
    """Of the regions before and after alignment, at the run's q."""
    return row("alignment", ALIGNED, method, stage=stage, q=0.05)[column]


def halves_of_one_model(stage: str) -> list[str]:
    """Two halves of one set before alignment, and after it: the mean of both."""
    return [
        short((aligned("ceiling_before", method, stage) + aligned("ceiling_after", method, stage)) / 2)
        for method in WEIGHED
    ]


def refusals(method: str, condition: str) -> list[float]:
    return cells("evaluate", ALIGNED, method=method, condition=condition)["refusal_rate"].tolist()


def taken_out(condition: str) -> pd.Series:
    """Without one SNIP region, of the study."""
    return row("evaluate", ALIGNED, "snip", condition=condition)


SLOW, FAST = 0.0002, 0.0004
"""Learning rates."""


def fine_tuned(condition: str, rate: float) -> pd.Series:
    """After the last step, the mean of the seeds; before the first, of the aligned model."""
    name = "rewound" if condition.startswith("rewound") else "constrain"
    return cells(name, ALIGNED, condition=condition, learning_rate=rate).sort_values("step").iloc[-1]


def kept(condition: str, rate: float) -> float:
    """Harmful prompts refused, in %."""
    return 100 * fine_tuned(condition, rate)["refusal_rate"]


def of_training(condition: str, name: str, rate: float) -> str:
    """A row of a page's table."""
    steps = cells("constrain", ALIGNED, condition=condition, learning_rate=rate).sort_values("step")
    refused = [f"{100 * share:.1f}" for share in steps["refusal_rate"]] + [""] * (2 - len(steps))
    last = fine_tuned(condition, rate)
    return f"| {name} | {' | '.join(refused)} | {100 * last['over_refusal_rate']:.1f} | {last['benign_loss']:.3f} |"


def interval(claim: str, digits: int) -> str:
    of = row("verdicts", ALIGNED, "snip", claim=claim)
    ends = ", ".join(short(of[end], digits) for end in ("low", "high"))
    return f"{short(of['effect'], digits)}, [{ends}]"


def faster(claim: str) -> str:
    """The interval at the higher of two learning rates, as the reason has it."""
    reason = row("verdicts", ALIGNED, "snip", claim=claim)["reason"]
    return ", ".join(map(short, map(float, re.findall(rf"At {FAST}.* \[(\S+), (\S+)\]", reason)[0])))


def of_all(column: str, stage: str) -> str:
    """A row of a page's table: a cell for each method, with every model's number."""
    of_method = (
        ", ".join(short(row("estimates", model, method, stage=stage)[column]) for model in MODELS) for method in NAMED
    )
    return " | ".join(of_method)


OTHER_PROMPTS, SAME_PROMPTS = "same response", "same prompts"
Quote = Callable[[], str]
README: list[Quote] = [
    lambda: "refuses {:.0f}% of the ten sets' prompts, and the aligned model {:.0f}%".format(
        *(100 * aligned(f"refused_{when}", "snip") for when in ("before", "after"))
    ),
    lambda: f"| two safety sets | {of_all('iou', 'raw')} |",
    lambda: f"| halves of two safety sets, 24 prompts each | {of_all('between', 'raw')} |",
    lambda: f"| two halves of one set, 24 prompts each | {of_all('ceiling', 'raw')} |",
    lambda: "share only {} more than".format(
        span([effect("beyond_noise", model, method) for model in MODELS for method in NAMED])
    ),
    lambda: f"| two safety sets, refined | {of_all('iou', 'refined')} |",
    lambda: f"of a third safety set | {of_all('placebo_iou', 'refined')} |",
    lambda: f"By chance it would be {short(largest_floor())}.",
    lambda: "takes {} of the overlap".format(
        span([effect("drops_when_refined", model, method) for model in MODELS for method in NAMED])
    ),
    lambda: f"same response share {range_of(OTHER_PROMPTS)}, the same prompts",
    lambda: f"with another response {range_of(SAME_PROMPTS)}",
    lambda: "AdvBench, {:.1f}% of the weights, SmolLM2 refuses {:.0f}% of".format(
        100 * taken_out("refined")["share_of_weights"], 100 * taken_out("refined")["refusal_rate"]
    ),
    lambda: "instead of {:.0f}% (random regions of that size: {:.0f} to {:.0f}%)".format(
        100 * taken_out("intact")["refusal_rate"],
        *(100 * end(refusals("snip", "random")) for end in (min, max)),
    ),
    lambda: "in {:.0f}% of its answers, at {:.1f} times the perplexity".format(
        100 * taken_out("refined")["degenerate_rate"], taken_out("refined")["perplexity_ratio"]
    ),
    lambda: f"does the same: {100 * taken_out('harmless')['refusal_rate']:.0f}%",
    lambda: "refusals of 48 harmful prompts from {:.0f}% to {:.0f}%, or at twice the learning rate to {:.0f}%.".format(
        kept("aligned", SLOW), kept("nothing", SLOW), kept("nothing", FAST)
    ),
    lambda: "share frozen ({:.1f}% of the weights) it is {:.0f} and {:.0f}%".format(
        100 * fine_tuned("refined", SLOW)["share_of_weights"], kept("refined", SLOW), kept("refined", FAST)
    ),
    lambda: "with as many random weights {:.0f} and {:.0f}%".format(
        *(kept("random_refined", rate) for rate in (SLOW, FAST))
    ),
    lambda: "with weights of the utility regions {:.0f} and {:.0f}%".format(
        *(kept("utility_refined", rate) for rate in (SLOW, FAST))
    ),
    lambda: "the region brings {:.0f} and {:.0f}%".format(*(kept("rewound_refined", rate) for rate in (SLOW, FAST))),
    lambda: "share SNIP {}, Wanda {} and SafeNeuron {}".format(
        *(short(aligned("crossed", method)) for method in WEIGHED)
    ),
    lambda: "share {}, {} and {}".format(*halves_of_one_model("raw")),
]
STUDY_ROWS = {
    "at_most_moderate": "at most moderate",
    "drops_when_refined": "drops when refined",
    "nothing_common": "nothing in common",
    "above_chance": "above chance",
    "not_size_alone": "not by size alone",
    "beyond_placebo": "more than a placebo",
    "beyond_noise": "more than noise",
}


def of_study(claim: str) -> Quote:
    methods = (*NAMED, "safelayer")
    return lambda: "| {} | {} |".format(
        STUDY_ROWS[claim],
        " | ".join(", ".join(mark(claim, model, method) for model in MODELS) for method in methods),
    )


def one_utility_set(name: str) -> str:
    """The least and the most that one set takes away."""
    rows = table("utilities")
    drops = rows[(rows["utility"] == name) & rows["method"].isin(list(NAMED))]["drop"]
    return span(drops.tolist())


def shared_raw(model: str, method: str, comparison: str) -> float:
    return row("responses", model, method, stage="raw", comparison=comparison)["iou"]


def neither(model: str, method: str) -> float:
    return shared_raw(model, method, "other prompts, other responses")


CLAIMS: list[Quote] = [
    *(of_study(claim) for claim in STUDY_ROWS),
    lambda: "GSM8K {}, Self-Instruct {}, its seeds {}".format(
        *map(one_utility_set, ("gsm8k_test", "self_instruct", "self_instruct_seeds"))
    ),
    lambda: "(SNIP {}, {} and {}, Wanda {}, {} and {})".format(
        *(short(neither(model, method), 3) for method in READ_RESPONSES for model in MODELS)
    ),
    lambda: "the same prompts add at most {}".format(
        short(
            max(
                shared_raw(model, method, "same prompts, other responses") - neither(model, method)
                for method in READ_RESPONSES
                for model in MODELS
            ),
            3,
        )
    ),
    lambda: f"it is {snip_drop(0.001)} at p = .001, {snip_drop(0.05)} at .05 and {snip_drop(0.2)} at .2",
    lambda: "IoU of {}, {} and {}, utility sets' {}, {} and {}".format(
        *(short(aligned(column, method)) for column in ("iou", "harmless") for method in WEIGHED)
    ),
    lambda: "refined regions are {} and {} alike instead of {} and {}".format(
        *(short(aligned(column, method, "refined")) for column in ("fixed", "iou") for method in READ_RESPONSES)
    ),
    lambda: "it is not: {} and {} instead of {} and {}".format(
        *(short(aligned(column, method)) for column in ("fixed", "iou") for method in READ_RESPONSES)
    ),
    lambda: "by {}, {} and {} less than".format(*(short(aligned("apart", method)) for method in WEIGHED)),
]
FROZEN = {
    "aligned": "the aligned model, not trained",
    "nothing": "nothing",
    "refined": "region",
    "random_refined": "random weights, as many",
    "utility_refined": "weights of the utility regions, as many",
}
PUT_BACK = {
    "nothing": "nothing",
    "rewound_refined": "region",
    "rewound_random_refined": "random weights, as many",
    "rewound_magnitude_refined": "random weights, as many and as large",
    "rewound_utility_refined": "weights of the utility regions, as many",
}
CONSTRAINING: list[Quote] = [
    *(
        (lambda c=condition, n=name, r=rate: of_training(c, n, r).replace("|  |", "| |"))
        for rate in (SLOW, FAST)
        for condition, name in FROZEN.items()
        if (condition, rate) != ("aligned", FAST)
    ),
    lambda: "use, {:.2f}% of the scored weights".format(100 * fine_tuned("refined", SLOW)["share_of_weights"]),
    *(
        (lambda c=condition, n=name: f"| {n} | {kept(c, SLOW):.1f} | {kept(c, FAST):.1f} |")
        for condition, name in PUT_BACK.items()
    ),
    lambda: "With the region frozen {} more of the refusals are kept than with the best control, [{}]".format(
        *interval("freezing_protects", 3).rstrip("]").split(", [")
    ),
    lambda: "the interval is [{}], so".format(faster("freezing_protects")),
    lambda: (
        f"undecided.** {interval('rewinding_restores', 3)}, at the lower rate, and [{faster('rewinding_restores')}]"
    ),
    lambda: "It holds {} times its share of the squared change, [{}]".format(
        *interval("region_moves", 3).rstrip("]").split(", [")
    ),
    lambda: "nothing frozen keeps {} of the refusals, so there was little to protect; at the higher {}.".format(
        *re.findall(
            r"nothing frozen keeps (\d+%)", row("verdicts", ALIGNED, "snip", claim="freezing_protects")["reason"]
        )
    ),
]
NAMES = ["135", "0.5"]
SETTINGS = ["0", "1", "100", "50", "24", "48"]
KNOWN = {
    "README.md": {*NAMES, *SETTINGS},
    "docs/constraining.md": {
        "80",
        "20",
        "4",
        ".0002",
        ".0004",
        ".05",
        "24",
        "48",
        "10",
        ".1",
        "1.2",
        "390",
        "580",
        "6.7",
        "624",
    },
    "docs/claims.md": {
        *NAMES,
        *SETTINGS,
        *[".001", ".05", ".2", ".007", ".03", ".04", "170", "480", "192", "268", "212", "44", "39"],
    },
}
"""Numbers that no table holds: of the configuration, sizes and names of models, times, thresholds, shares refused."""


def section(page: str, title: str) -> str:
    """What a page says of a run, in one line."""
    text = (ROOT / page).read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return " ".join(re.sub(r"\]\([^)]*\)", "]", text).split())


@pytest.mark.parametrize(
    ("page", "title", "quotes"),
    [
        ("README.md", "What was found", README),
        ("docs/claims.md", "On real models", CLAIMS),
        ("docs/constraining.md", "On a real model", CONSTRAINING),
    ],
)
def test_what_is_quoted_of_a_run_stands_in_its_tables_and_nothing_else_is_quoted(page, title, quotes):
    said = left = section(page, title)
    for quote in quotes:
        words = quote()
        assert words in said, words
        left = left.replace(words, " ")
    assert set(NUMBER.findall(left)) - KNOWN[page] == set()


def test_a_number_that_moves_is_noticed(monkeypatch):
    """So that the check cannot pass by comparing a page with itself."""
    moved = table("estimates").assign(iou=table("estimates")["iou"] + 0.01)
    table.cache_clear()
    monkeypatch.setattr(pd, "read_csv", lambda path: moved)
    try:
        assert README[1]() not in section("README.md", "What was found")
    finally:
        table.cache_clear()
