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

from safety_regions.claims.latent import correlation_of_iou, iou_of_correlation, share_of_floor

ROOT = Path(__file__).resolve().parents[2]
SMALL, STUDY = ROOT / "figures/small", ROOT / "figures/study"
ALIGNED, STOCK, BASE = "smollm2-135m-aligned", "smollm2-135m", "gemma3-270m"
CONTROLS = (STOCK, BASE)
METHODS = ("snip", "wanda", "safeneuron")
BOTH = ("qwen2_5-coder-0_5b", ALIGNED)
NAMED = {"snip": "SNIP", "wanda": "Wanda", "safeneuron": "SafeNeuron", "nlsr": "NLSR"}
"""Models and methods of the study: in its order, and all but SafeLayer."""
MARKS = {"holds": "✓", "does not hold": "✗", "undecided": "?", "not applicable": "·"}
NUMBER = re.compile(r"-?(?<![\w.])\d*\.?\d+(?![\w])")


@cache
def table(name: str, run: Path = SMALL) -> pd.DataFrame:
    return pd.read_csv(run / f"{name}.csv")


def cells(name: str, model: str, run: Path = SMALL, **at: object) -> pd.DataFrame:
    rows = table(name, run)
    for column, value in {"model": model, **at}.items():
        rows = rows[rows[column] == value]
    return rows


def row(name: str, model: str, method: str, run: Path = SMALL, **at: object) -> pd.Series:
    (found,) = (of for _, of in cells(name, model, run, method=method, **at).iterrows())
    return found


def short(value: float, digits: int = 2) -> str:
    """As the pages write shares: .51, -.04, 1.00."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(round(value, digits)) < 1 else f"{value:.{digits}f}"


def largest_floor(run: Path = SMALL) -> float:
    """Before refinement, of methods whose regions are no ranges of layers."""
    rows = table("estimates", run)
    return rows[(rows["stage"] == "raw") & (rows["method"] != "safelayer")]["floor"].max()


def effect(claim: str, model: str, method: str, run: Path = SMALL) -> float:
    return row("verdicts", model, method, run, claim=claim)["effect"]


def verdict(claim: str, method: str, *, bounds: bool = True) -> str:
    of = row("verdicts", ALIGNED, method, claim=claim)
    interval = f" [{short(of['low'])}, {short(of['high'])}]" if bounds else ""
    return f"{of['verdict']}, {short(of['effect'])}{interval}"


def mark(claim: str, model: str, method: str, run: Path = SMALL) -> str:
    of = row("verdicts", model, method, run, claim=claim)
    return MARKS[of["verdict"]] + ("" if pd.isna(of["effect"]) else f" {short(of['effect'])}")


def place(method: str, end: str = "") -> float:
    return row("estimates", ALIGNED, method, stage="raw")[f"place{end}"]


def unlimited(method: str) -> float:
    """As `safety_regions.claims.estimates.unlimited_means`, of the means that are published instead of the pairs."""
    of = row("estimates", ALIGNED, method, stage="raw")
    share = share_of_floor(of["floor"])
    ratio = correlation_of_iou(of["between"], share) / correlation_of_iou(of["ceiling"], share)
    return float(iou_of_correlation(ratio, share))


def of_samples(method: str, column: str) -> str:
    """Percent of the distance from an IoU to 1 that unlimited prompts would close."""
    known = row("estimates", ALIGNED, method, stage="raw")[column]
    return f"{100 * (unlimited(method) - known) / (1 - known):.1f}"


def range_of(comparison: str, run: Path = SMALL) -> str:
    """Least and most over pairs of regions, SNIP and Wanda, all models; single pairs stand in the verdicts' reasons."""
    rows = table("verdicts", run)
    reasons = rows[(rows["claim"] == "follows_response") & rows["method"].isin(METHODS[:2])]["reason"]
    found = reasons.str.extract(rf"(?i:{comparison}): (\d\.\d+)(?: to (\d\.\d+))?").astype(float)
    return span(found.stack().tolist())


def shared(method: str, comparison: str, digits: int = 2) -> str:
    return short(row("responses", ALIGNED, method, stage="raw", comparison=comparison)["iou"], digits)


def drop(model: str, method: str) -> float:
    return effect("drops_when_refined", model, method)


def span(values: list[float]) -> str:
    return f"{short(min(values))} to {short(max(values))}"


def snip_drop(p: float) -> str:
    curve = table(f"{ALIGNED}.snip.surface")
    at_q = curve[curve["q"] == 0.05].set_index("p")["iou"]
    return short(1 - at_q[p] / at_q[0.0])


def pair(a: str, b: str, stage: str) -> float:
    rows = table(f"{ALIGNED}.snip.iou_matrix")
    ((value,),) = rows[(rows["stage"] == stage) & (rows["a"] == a) & (rows["b"] == b)][["iou"]].to_numpy()
    return value


def loses(a: str, b: str) -> tuple[str, str]:
    """Percent of a pair's IoU that refinement takes, and the two."""
    before, after = pair(a, b, "raw"), pair(a, b, "refined")
    return f"{100 * (1 - after / before):.0f}%", f"({short(before)} -> {short(after)})"


def fewer(method: str) -> str:
    """Percentage points by which refusals are fewer."""
    return f"{-100 * effect('matters', ALIGNED, method):.0f}"


def refusals(method: str, condition: str, run: Path = SMALL) -> list[float]:
    return cells("evaluate", ALIGNED, run, method=method, condition=condition)["refusal_rate"].tolist()


def taken_out(condition: str) -> pd.Series:
    """Without one SNIP region, of the study."""
    return row("evaluate", ALIGNED, "snip", STUDY, condition=condition)


def pair_of_models(column: str, method: str, stage: str) -> str:
    return " and ".join(short(row("estimates", model, method, STUDY, stage=stage)[column]) for model in BOTH)


def of_both(column: str, stage: str) -> str:
    return ", ".join(f"{name} {pair_of_models(column, method, stage)}" for method, name in NAMED.items())


OTHER_PROMPTS, SAME_PROMPTS = "same response", "same prompts"
Quote = Callable[[], str]
README: list[Quote] = [
    lambda: f"more than chance** ({short(largest_floor(STUDY))} for",
    lambda: of_both("iou", "raw"),
    lambda: of_both("ceiling", "raw"),
    lambda: "stand at {} (these".format(
        span([row("estimates", model, method, STUDY, stage="raw")["place"] for model in BOTH for method in NAMED])
    ),
    lambda: "takes {} of the overlap".format(
        span([effect("drops_when_refined", model, method, STUDY) for model in BOTH for method in NAMED])
    ),
    lambda: of_both("iou", "refined"),
    lambda: ", ".join(pair_of_models("placebo_iou", method, "refined") for method in NAMED),
    lambda: f"share {range_of(OTHER_PROMPTS, STUDY)}, the same prompts",
    lambda: f"with another response {range_of(SAME_PROMPTS, STUDY)}",
    lambda: "AdvBench, {:.1f}% of the weights, SmolLM2 refuses {:.0f}% of".format(
        100 * taken_out("refined")["share_of_weights"], 100 * taken_out("refined")["refusal_rate"]
    ),
    lambda: "instead of {:.0f}% (random regions of that size: {:.0f} to {:.0f}%)".format(
        100 * taken_out("intact")["refusal_rate"],
        *(100 * end(refusals("snip", "random", STUDY)) for end in (min, max)),
    ),
    lambda: "in {:.0f}% of its answers, at {:.1f} times the perplexity".format(
        100 * taken_out("refined")["degenerate_rate"], taken_out("refined")["perplexity_ratio"]
    ),
    lambda: f"does the same: {100 * taken_out('harmless')['refusal_rate']:.0f}%",
]
ROWS = {
    "above_chance": "above chance",
    "at_most_moderate": "at most moderate",
    "drops_when_refined": "drops when refined",
    "not_size_alone": "not by size alone",
    "matters": "matters",
}


def of_aligned(claim: str) -> Quote:
    return lambda: f"| {ROWS[claim]} | {' | '.join(verdict(claim, method) for method in METHODS)} |"


def of_controls(claim: str) -> Quote:
    return lambda: (
        f"| {ROWS[claim]} | {' | '.join(', '.join(mark(claim, model, m) for m in METHODS) for model in CONTROLS)} |"
    )


CLAIMS: list[Quote] = [
    *(of_aligned(claim) for claim in ROWS),
    *(of_controls(claim) for claim in ROWS if claim != "matters"),
    lambda: "| follows responses | {} | {} | not applicable |".format(
        *(verdict("follows_response", method, bounds=False) for method in METHODS[:2])
    ),
    lambda: "| follows responses | {}, {}, · | {}, {}, · |".format(
        *(mark("follows_response", model, method) for model in CONTROLS for method in METHODS[:2])
    ),
    lambda: "the drop holds on all three models ({}, {}, {})".format(
        *(short(drop(model, "nlsr")) for model in (ALIGNED, *CONTROLS))
    ),
    lambda: "(-.04 [{}, {}] and 0 on".format(
        *(short(row("verdicts", ALIGNED, "nlsr", claim="matters")[end]) for end in ("low", "high"))
    ),
    lambda: f"refuses {fewer('safelayer')} percentage points fewer",
    lambda: "larger in these ({}) than in the aligned model ({}), with safeneuron it is {} and {} beside {}".format(
        span([drop(model, method) for model in CONTROLS for method in ("snip", "wanda", "nlsr")]),
        span([drop(ALIGNED, method) for method in ("snip", "wanda", "nlsr")]),
        *(short(drop(model, "safeneuron")) for model in (*CONTROLS, ALIGNED)),
    ),
    lambda: f"it is {snip_drop(0.001)} at p = .001, {snip_drop(0.05)} at .05 and {snip_drop(0.2)} at .2",
    lambda: "one set reach {} (SNIP), {} (Wanda) and {} (safeneuron)".format(
        *(short(row("estimates", ALIGNED, method, stage="raw")["ceiling"]) for method in METHODS)
    ),
    lambda: "would give {}, {} and {}".format(*(short(unlimited(method), 3) for method in METHODS)),
    lambda: "instead of {}, {} and {}".format(
        *(short(row("estimates", ALIGNED, method, stage="raw")["iou"], 3) for method in METHODS)
    ),
    lambda: "{}, {} and {}% is that of 100 prompts".format(*(of_samples(method, "iou") for method in METHODS)),
    lambda: "and {}, {} and {}% of what is missing at the 50".format(
        *(of_samples(method, "between") for method in METHODS)
    ),
    lambda: "({}, {} and {} are the upper ends)".format(*(short(place(method, "_high")) for method in METHODS)),
    lambda: "drop begin at {} to {}".format(
        *(
            short(end(row("verdicts", ALIGNED, method, claim="drops_when_refined")["low"] for method in METHODS))
            for end in (min, max)
        )
    ),
    lambda: "lose {} {}".format(*loses("advbench", "jbb")),
    lambda: "{} {}".format(*loses("advbench", "maliciousinstruct")),
    lambda: (
        f"({range_of(OTHER_PROMPTS)}, on all three models) than one set with two responses ({range_of(SAME_PROMPTS)})"
    ),
    lambda: "still share {} (SNIP) and {} (Wanda)".format(
        *(shared(method, "harmful and harmless prompts, same responses") for method in METHODS[:2])
    ),
    lambda: (
        f"other responses share {shared('snip', 'same prompts, other responses', 3)}, other prompts with other "
        f"responses {shared('snip', 'other prompts, other responses', 3)}"
    ),
    lambda: f"refuses {fewer('snip')} and {fewer('wanda')} percentage points fewer",
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
        " | ".join(", ".join(mark(claim, model, method, STUDY) for model in BOTH) for method in methods),
    )


def one_utility_set(name: str) -> str:
    """The least and the most that one set takes away."""
    rows = table("utilities", STUDY)
    drops = rows[(rows["utility"] == name) & rows["method"].isin(list(NAMED))]["drop"]
    return span(drops.tolist())


def shared_raw(model: str, method: str, comparison: str) -> float:
    return row("responses", model, method, STUDY, stage="raw", comparison=comparison)["iou"]


def neither(model: str, method: str) -> float:
    return shared_raw(model, method, "other prompts, other responses")


CLAIMS_OF_STUDY: list[Quote] = [
    *(of_study(claim) for claim in STUDY_ROWS),
    lambda: "GSM8K {}, Self-Instruct {}, its seeds {}".format(
        *map(one_utility_set, ("gsm8k_test", "self_instruct", "self_instruct_seeds"))
    ),
    lambda: "(SNIP {} and {}, Wanda {} and {})".format(
        *(short(neither(model, method), 3) for method in METHODS[:2] for model in BOTH)
    ),
    lambda: "the same prompts add at most {}".format(
        short(
            max(
                shared_raw(model, method, "same prompts, other responses") - neither(model, method)
                for method in METHODS[:2]
                for model in BOTH
            ),
            3,
        )
    ),
]
NAMES = ["135", "270", "3", "0.5"]
SETTINGS = ["0", "1", "100", "50", "24", "48"]
KNOWN = {
    "README.md": {*NAMES, *SETTINGS},
    "docs/claims.md": {
        *NAMES,
        *SETTINGS,
        *[
            ".001",
            ".05",
            ".2",
            ".5",
            "39",
            "67",
            "8",
            "700",
            ".99",
            ".91",
            ".52",
            "1.00",
            "170",
            "480",
            "192",
            "268",
            "212",
            "44",
            "39",
        ],
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
        ("docs/claims.md", "On real models", CLAIMS_OF_STUDY),
        ("docs/claims.md", "On models that refuse nothing", CLAIMS),
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
    moved = table("estimates", STUDY).assign(iou=table("estimates", STUDY)["iou"] + 0.01)
    table.cache_clear()
    monkeypatch.setattr(pd, "read_csv", lambda path: moved)
    try:
        assert README[1]() not in section("README.md", "What was found")
    finally:
        table.cache_clear()
