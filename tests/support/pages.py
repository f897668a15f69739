"""A made-up report to look at: tables as the steps write them, figures, and the page of these."""

import base64
import itertools
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, NameObject

from safety_regions.claims.catalogue import Claim
from safety_regions.claims.verdict import FAILS, HOLDS, UNDECIDED, Outcome, Verdict
from safety_regions.report.page.gallery import Maker, Shown, list_figures
from safety_regions.report.page.page import write_page
from safety_regions.report.tables import ReportTables

HOSTILE = "</script><img src=x onerror=alert(1)>"
MODELS, METHODS = ["tiny-llama", "tiny-qwen2"], ["snip", "wanda", "nlsr"]
SETS, GRID = ["build", "steal", HOSTILE, "trick"], [0.01, 0.05, 0.1, 0.2]
LACKING = ("tiny-qwen2", "snip")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
DIGEST = "0123456789ab" * 5 + "cdef"
PICTURES = ("headline", "tiny-llama.snip.iou_matrix", "tiny-llama.snip.nway", "tiny-qwen2.wanda.iou_matrix")
REPORT = Maker("results/report/own.0123456789ab", DIGEST)
LITTLE, DROP = (
    Claim(id, id, statement, "Section 4", "low < 0.3", (), "mean IoU")
    for id, statement in (
        ("little", "Regions of different safety sets overlap little."),
        ("drop", f"Refinement lowers the overlap {HOSTILE}."),
    )
)


def make_config(**thresholds: float) -> dict[str, Any]:
    return {
        "name": f"own {HOSTILE}",
        "models": MODELS,
        "datasets": {"safety": SETS, "utility": ["chores"], "n_samples": 8},
        "thresholds": {"q": 0.05, "p": 0.1 if thresholds.get("free") else 0.05, "scope": "matrix", "grid": GRID},
    }


def make_pairs(free: bool = False) -> pd.DataFrame:
    """iou.csv: refined at p = q, or with `free` at every p; some values undefined, some ties in the third digit."""
    rng = np.random.default_rng(3)
    rows = []
    for model, method, q in itertools.product(MODELS, METHODS, GRID):
        if (model, method) == LACKING:
            continue
        for stage, p in [("raw", np.nan), *(("refined", p) for p in (GRID if free else [q]))]:
            for a, b in itertools.combinations(SETS, 2):
                values = rng.choice([0.125, 0.375, 0.004, 0.997, 0, 1], 3) if rng.random() < 0.2 else rng.random(3)
                iou, floor, coefficient = np.full(3, np.nan) if rng.random() < 0.05 else values
                rows.append([model, method, stage, q, p, a, b, iou, floor / 2, coefficient])
    return pd.DataFrame(
        rows, columns=["model", "method", "stage", "q", "p", "a", "b", "iou", "floor_iou", "overlap_coefficient"]
    )


def make_verdicts() -> list[Verdict]:
    """One claim that holds everywhere, and one on which models and methods differ."""
    decisions = itertools.cycle([HOLDS, FAILS, UNDECIDED, FAILS])
    verdicts = []
    for claim, model, method in itertools.product((LITTLE, DROP), MODELS, METHODS):
        decision = HOLDS if claim is LITTLE else next(decisions)
        outcome = Outcome(decision, f"{HOSTILE} of {model}, {method}", effect=0.25, low=0.2)
        fewer = {"build": replace(outcome, effect=0.2), "steal": replace(outcome, decision=FAILS, effect=0.5)}
        verdicts.append(Verdict(claim, model, method, outcome, without=fewer))
    return verdicts


def make_tables(free: bool = False) -> ReportTables:
    """Every table that a page can show."""
    about = {"model": "tiny-llama", "method": "snip"}
    ends = {
        f"{name}{end}": value
        for name, value in (("iou", 0.5), ("between", 0.4), ("ceiling", 0.9), ("place", -0.1), ("unlimited", 0.6))
        for end in ("", "_low", "_high")
    }
    estimate = (
        about
        | {"stage": "raw", "q": 0.05, "p": np.nan, "floor": 0.026, "seeds_iou": 0.8, "half_prompts": 16.0}
        | ends
        | {"size_matched_iou": np.nan, "placebo_iou": np.nan, "n_sets": 4}
    )
    evaluation = {
        "set": HOSTILE,
        "share": 0.05,
        "share_of_weights": 0.05,
        "degenerate_rate": 0.0,
        "answer_rate": 0.0,
        "over_refusal_rate": 0.25,
        "harmless_degenerate_rate": 0.125,
        "harmless_answer_rate": 0.625,
        "perplexity": 12345.6,
    }
    rates = {"intact": 1.0, "refined": 0.25, "random": 0.75}
    overlap = about | {"iou": 0.5, "floor_iou": 0.02, "overlap_coefficient": 0.6, "a": "snip", "b": "wanda"}
    parts = ("iou_raw", "floor_raw", "iou_refined", "floor_refined")
    rows = [
        about | evaluation | {"condition": condition, "refusal_rate": rate, "removes_more_than_random": "True"}
        for condition, rate in rates.items()
    ]
    influence = about | {"stage": "raw", "estimate": "iou", "value": 0.5, "low": np.nan, "high": np.nan}
    influence |= {"moved_by": HOSTILE, "without": 0.25}
    utility = about | {"utility": HOSTILE, "taken": 0.25, "floor": 0.02, "n_sets": 4}
    utility |= {f"{name}{end}": 0.5 for name in ("iou", "drop") for end in ("", "_low", "_high")}
    choices = [("", 0.05, "", "holds"), ("q", 0.01, "", "undecided"), ("q", 0.2, "", "holds")]
    choices += [("set", 0.05, name, "holds") for name in SETS]
    stability = [
        about | {"claim": HOSTILE, "varied": varied, "q": q, "p": 0.05, "without": name, "verdict": decision}
        for varied, q, name, decision in choices
    ]
    confound = about | {"stage": "raw", "covariate": HOSTILE, "rho": -0.5, "p_value": 0.04, "n_pairs": 6}
    response = about | {"stage": "raw", "comparison": "other prompts", "iou": 0.5, "floor": 0.1, "n_pairs": 4}
    shared = [
        {"a": "build", "b": name, "n_a": 8, "n_b": 6, "exact": exact, "near_a": 0.25, "near_b": 0.5}
        for exact, name in enumerate(SETS)
    ]
    return ReportTables(
        pairs=make_pairs(free),
        headline=pd.DataFrame([about | {f"{n}{part}": 0.5 for n in ("", "nway_") for part in parts}]),
        estimates=pd.DataFrame([estimate]),
        influence=pd.DataFrame([influence]),
        utilities=pd.DataFrame([utility]),
        stability=pd.DataFrame([row | {"agrees": row["verdict"] == "holds"} for row in stability]),
        confounds=pd.DataFrame([confound]),
        responses=pd.DataFrame([response]),
        evaluated=pd.DataFrame(rows),
        across=pd.DataFrame([overlap | {"stage": stage} for stage in ("raw", "refined")]),
        sets=pd.DataFrame([{"model": "tiny-llama", "set": HOSTILE, "share_refused": 0.5, "n_cut": 3}]),
        shared_prompts=pd.DataFrame(shared),
        sources=pd.DataFrame([{"name": "build", "what": "dataset", "citation": HOSTILE}]),
    )


def write_pdf(path: Path, content: str, width: float = 200, height: float = 100) -> None:
    """A PDF of one page with these commands on it."""
    writer, drawn = PdfWriter(), DecodedStreamObject()
    page = writer.add_blank_page(width, height)
    drawn.set_data(content.encode())
    page[NameObject("/Contents")] = writer._add_object(drawn)
    writer.write(path)


def write_figures(folder: Path) -> list[Shown]:
    """Figures with a line each, all at other places, and the list of them."""
    for place, name in enumerate(PICTURES):
        write_pdf(folder / f"{name}.pdf", f"{place} 0 m 100 50 l S")
        (folder / f"{name}.png").write_bytes(base64.b64decode(PIXEL))
        (folder / f"{name}.csv").write_text("a\n1\n")
    return list_figures(folder, [], REPORT)


@dataclass(frozen=True)
class Page:
    """A written page and what it was made of."""

    path: Path
    pairs: pd.DataFrame

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def url(self) -> str:
        return self.path.as_uri()


def make_page(folder: Path, free: bool = False, **changes: Any) -> Page:
    """Write a page with everything on it; `changes` replace what it is made of."""
    tables = make_tables(free)
    folder.mkdir(parents=True, exist_ok=True)
    tables.pairs.to_csv(folder / "iou.csv", index=False)
    given = {
        "config": make_config(free=free),
        "tables": tables,
        "verdicts": make_verdicts(),
        "figures": write_figures(folder),
        "report": REPORT,
    }
    write_page(**(given | changes), output=folder / "report.html")
    return Page(folder / "report.html", tables.pairs)


def find_chromium() -> str:
    """The browser for tests; they are skipped without one, unless SAFETY_REGIONS_REQUIRE_BROWSER is set."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None and not os.environ.get("SAFETY_REGIONS_REQUIRE_BROWSER"):
        pytest.skip("no Chromium found; as root: apt-get install --no-install-recommends chromium")
    assert found, "SAFETY_REGIONS_REQUIRE_BROWSER is set, but there is no Chromium on the PATH"
    return found
