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
RUN = ROOT / "figures/small"
ALIGNED, STOCK, BASE = "smollm2-135m-aligned", "smollm2-135m", "gemma3-270m"
CONTROLS = (STOCK, BASE)
METHODS = ("snip", "wanda", "safeneuron")
MARKS = {"holds": "✓", "does not hold": "✗", "undecided": "?"}
NUMBER = re.compile(r"-?(?<![\w.])\d*\.?\d+(?![\w])")


@cache
def table(name: str) -> pd.DataFrame:
    return pd.read_csv(RUN / f"{name}.csv")


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


def iou(model: str, method: str, stage: str) -> str:
    return short(row("estimates", model, method, stage=stage)["iou"])


def largest_floor() -> float:
    """Before refinement, of methods whose regions are no ranges of layers."""
    rows = table("estimates")
    return rows[(rows["stage"] == "raw") & (rows["method"] != "safelayer")]["floor"].max()


def falls(model: str, method: str) -> str:
    return f"{iou(model, method, 'raw')} -> {iou(model, method, 'refined')}"


def effect(claim: str, model: str, method: str) -> float:
    return row("verdicts", model, method, claim=claim)["effect"]


def verdict(claim: str, method: str, *, bounds: bool = True) -> str:
    of = row("verdicts", ALIGNED, method, claim=claim)
    interval = f" [{short(of['low'])}, {short(of['high'])}]" if bounds else ""
    return f"{of['verdict']}, {short(of['effect'])}{interval}"


def mark(claim: str, model: str, method: str) -> str:
    of = row("verdicts", model, method, claim=claim)
    return f"{MARKS[of['verdict']]} {short(of['effect'])}"


def place(method: str, end: str = "") -> float:
    return row("estimates", ALIGNED, method, stage="raw")[f"place{end}"]


def placed(method: str) -> str:
    return f"{short(place(method))} [{short(place(method, '_low'))}, {short(place(method, '_high'))}]"


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


def range_of(comparison: str) -> str:
    """Least and most over pairs of regions, SNIP and Wanda, all models; single pairs stand in the verdicts' reasons."""
    rows = table("verdicts")
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


def perplexity(method: str, condition: str) -> float:
    return row("evaluate", ALIGNED, method, condition=condition)["perplexity_ratio"]


def refusals(method: str, condition: str) -> list[float]:
    return cells("evaluate", ALIGNED, method=method, condition=condition)["refusal_rate"].tolist()


OTHER_PROMPTS, SAME_PROMPTS = "same response", "same prompts"
Quote = Callable[[], str]
README: list[Quote] = [
    lambda: f"more than chance ({short(largest_floor())} or less",
    lambda: (
        f"SNIP {falls(ALIGNED, 'snip')}, Wanda {falls(ALIGNED, 'wanda')}, safeneuron {falls(ALIGNED, 'safeneuron')}, "
        f"nlsr {falls(ALIGNED, 'nlsr')}"
    ),
    lambda: (
        f"SNIP {falls(STOCK, 'snip')} and {falls(BASE, 'snip')}, Wanda {falls(STOCK, 'wanda')} and "
        f"{falls(BASE, 'wanda')}"
    ),
    lambda: f"lie at {placed('snip')} for SNIP, {placed('wanda')} for Wanda and {placed('safeneuron')} for safeneuron",
    lambda: "an IoU of {}, {} and {}".format(*(short(unlimited(method), 3) for method in METHODS)),
    lambda: "so {}, {} and {}% of what is missing".format(*(of_samples(method, "iou") for method in METHODS)),
    lambda: (
        f"{range_of(OTHER_PROMPTS)} with other prompts and the same response, {range_of(SAME_PROMPTS)} with the same"
    ),
    lambda: f"{100 * row('evaluate', ALIGNED, 'snip', condition='refined')['share_of_weights']:.1f}% of the weights",
    lambda: "random regions of that size: {:.0f} to {:.0f}%".format(
        *(100 * end for end in sorted(refusals("snip", "random_refined")))
    ),
    lambda: f"{perplexity('snip', 'refined'):.1f} times the perplexity",
    lambda: (
        f"multiplies it by {min(perplexity(method, 'raw') for method in METHODS):,.0f} and more, safelayer's by "
        f"{perplexity('safelayer', 'raw'):.1f}"
    ),
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
NAMES = ["135", "270", "3"]
SETTINGS = ["0", "1", "100", "50", "24"]
KNOWN = {
    "README.md": {*NAMES, *SETTINGS},
    "docs/claims.md": {
        *NAMES,
        *SETTINGS,
        *[".001", ".05", ".2", ".5", "39", "67", "8", "700", ".99", ".91", ".52", "1.00"],
    },
}
"""Numbers that no table holds: of the configuration, sizes and names of models, times, thresholds, shares refused."""


def section(page: str) -> str:
    """What a page says of the run, in one line."""
    text = (ROOT / page).read_text(encoding="utf-8").split("\n## On a real model\n")[1].split("\n## ")[0]
    return " ".join(re.sub(r"\]\([^)]*\)", "]", text).split())


@pytest.mark.parametrize(("page", "quotes"), [("README.md", README), ("docs/claims.md", CLAIMS)])
def test_what_is_quoted_of_the_run_stands_in_its_tables_and_nothing_else_is_quoted(page, quotes):
    said = left = section(page)
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
        assert README[1]() not in section("README.md")
    finally:
        table.cache_clear()
