"""Tables of the page in a real browser: sorted by their heads, and long ones filtered by typing."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pages import HOSTILE, Page, make_page, make_tables
from playwright.sync_api import Browser, Locator
from tabs import Seen, look

from safety_regions.report.numbers import words

RHO = [0.5, -0.25, np.nan, 0.0001, -0.25, 1.0]
MODELS, COVARIATES = ["tiny-llama", "tiny-qwen2", "tiny-10", "tiny-9"], ["length", HOSTILE, "refused", "a", "b", "c"]
CONFOUNDS = pd.DataFrame(
    [
        {"model": model, "method": "snip", "stage": "raw", "covariate": name, "rho": rho, "p_value": 0.5, "n_pairs": 6}
        for model, (name, rho) in itertools.product(MODELS, zip(COVARIATES, RHO, strict=True))
    ]
)
MODEL, COVARIATE, CORRELATION = 1, 4, 5
"""Columns of the table, from 1."""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return make_page(tmp_path_factory.mktemp("tables"), tables=replace(make_tables(), confounds=CONFOUNDS))


@pytest.fixture
def seen(browser: Browser, page: Page) -> Iterator[Seen]:
    seen = look(browser, f"{page.url}#fold-confounds")
    yield seen
    assert seen.messages == []
    seen.tab.context.close()


def column(seen: Seen, number: int) -> list[str]:
    """The visible cells of a column of the long table, from above."""
    cells = seen.tab.locator(f"#table-confounds tbody tr:visible :is(td, th):nth-child({number})")
    return cells.all_inner_texts()


def head(seen: Seen, number: int) -> Locator:
    return seen.tab.locator(f"#table-confounds thead th:nth-child({number})")


def press(seen: Seen, number: int, times: int = 1) -> None:
    for _ in range(times):
        head(seen, number).get_by_role("button").press("Enter")


def filter_by(seen: Seen, text: str) -> str:
    """Type a filter, and what is said of it."""
    seen.tab.get_by_role("searchbox", name="Does something else than harm move the IoU?").fill(text)
    return seen.tab.locator("#fold-confounds output").inner_text()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("refused", CONFOUNDS["covariate"] == "refused"),
        ("  LLAMA\t snip ", CONFOUNDS["model"] == "tiny-llama"),
        ("-0.250 qwen2", (CONFOUNDS["rho"] == -0.25) & (CONFOUNDS["model"] == "tiny-qwen2")),
        ("onerror=alert(1)> tiny-9", (CONFOUNDS["covariate"] == HOSTILE) & (CONFOUNDS["model"] == "tiny-9")),
        ("refused wanda", CONFOUNDS["method"] == "wanda"),
    ],
)
def test_rows_that_have_every_word_are_left_and_counted(seen: Seen, typed: str, kept: pd.Series):
    said = filter_by(seen, typed)
    assert column(seen, MODEL) == list(CONFOUNDS["model"][kept])
    assert column(seen, COVARIATE) == list(CONFOUNDS["covariate"][kept])
    assert said == f"{kept.sum() or 'none'} of {len(CONFOUNDS)} rows"
    assert filter_by(seen, " ") == "" and len(column(seen, MODEL)) == len(CONFOUNDS)


def test_a_head_sorts_up_then_down_then_as_the_run_has_it(seen: Seen):
    shown, defined = [words(rho) for rho in RHO] * len(MODELS), CONFOUNDS["rho"].dropna()
    empty = [""] * CONFOUNDS["rho"].isna().sum()
    for order, ascending in (("ascending", True), ("descending", False)):
        press(seen, CORRELATION)
        expected = [words(rho) for rho in defined.sort_values(ascending=ascending)]
        assert column(seen, CORRELATION) == expected + empty
        assert head(seen, CORRELATION).get_attribute("aria-sort") == order
    press(seen, CORRELATION)
    assert column(seen, CORRELATION) == shown
    assert seen.tab.locator("[aria-sort]").count() == 0


def test_equal_cells_keep_their_order_and_names_are_sorted_as_people_do(seen: Seen):
    press(seen, MODEL)
    assert list(dict.fromkeys(column(seen, MODEL))) == ["tiny-9", "tiny-10", "tiny-llama", "tiny-qwen2"]
    assert column(seen, COVARIATE) == COVARIATES * len(MODELS)
    press(seen, COVARIATE)
    assert head(seen, MODEL).get_attribute("aria-sort") is None
    assert column(seen, COVARIATE)[-len(MODELS) :] == ["refused"] * len(MODELS)


def test_what_is_filtered_stays_sorted_and_the_other_way_round(seen: Seen):
    filter_by(seen, "qwen2")
    press(seen, CORRELATION, times=2)
    assert column(seen, CORRELATION) == ["1", "0.500", "1.0e-04", "−0.250", "−0.250", ""]
    filter_by(seen, "llama")
    assert column(seen, CORRELATION) == ["1", "0.500", "1.0e-04", "−0.250", "−0.250", ""]


def test_drawn_cells_are_sorted_by_what_they_draw(seen: Seen):
    """The place of each estimate on its line; the table of the made-up run has one row, so the cell tells it."""
    assert seen.tab.locator("#table-estimates td[data-value]").get_attribute("data-value") == "0.0"
    strip = seen.tab.locator("#table-glance td[data-value]")
    assert strip.get_attribute("data-value") == "50.0"


def test_short_tables_have_heads_to_sort_by_and_no_filter(seen: Seen):
    assert (
        seen.tab.locator("#table-evaluate thead button").count()
        == seen.tab.locator("#table-evaluate th[scope=col]").count()
    )
    assert seen.tab.get_by_role("searchbox").count() == 1


def test_every_control_has_a_name_and_is_large_enough_to_hit(seen: Seen):
    for button in seen.tab.locator("button.sort:visible").all():
        assert button.inner_text().strip() and button.evaluate("button => button.offsetHeight") >= 24
    assert seen.tab.evaluate("[...document.querySelectorAll('input')].every(input => input.labels.length === 1)")
    assert seen.tab.evaluate("[...document.querySelectorAll('th')].every(head => head.textContent.trim())")


def test_without_scripts_the_table_is_whole_and_has_no_controls(browser: Browser, page: Page):
    seen = look(browser, page.url, java_script_enabled=False)
    seen.tab.click("#fold-confounds > summary")
    assert column(seen, COVARIATE) == COVARIATES * len(MODELS)
    assert seen.tab.locator("thead button, [type=search]").count() == 0
    seen.tab.context.close()


def test_on_paper_the_rows_that_are_left_stand_without_the_controls(seen: Seen):
    filter_by(seen, "refused")
    seen.tab.emulate_media(media="print")
    assert seen.tab.locator("[type=search]").is_hidden()
    assert column(seen, COVARIATE) == ["refused"] * len(MODELS)
