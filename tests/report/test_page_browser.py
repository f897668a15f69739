"""The report page in a real browser: what selectors and sliders show, on which widths, and with the keyboard alone."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pages import DROP, GRID, HOSTILE, LACKING, METHODS, MODELS, PICTURES, SETS, Page, make_page
from playwright.sync_api import Browser
from tabs import PHONE, Seen, look

from safety_regions.report.numbers import digits4, short
from safety_regions.report.page.heat_map import level

VALUES = {"iou": "iou", "floor": "floor_iou", "coefficient": "overlap_coefficient"}


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return make_page(tmp_path_factory.mktemp("page"))


@pytest.fixture
def seen(browser: Browser, page: Page) -> Iterator[Seen]:
    """The page on a desktop. Whatever a test does, nothing may be asked of a network or be said on the console."""
    seen = look(browser, page.url)
    yield seen
    beside = page.path.parent.as_uri()
    assert all(url.startswith((f"{beside}/", "data:")) for url in seen.requests), seen.requests
    assert seen.messages == []
    seen.tab.context.close()


def rows_of(pairs: pd.DataFrame, model: str, method: str, q: float, stage: str, p: float | None = None) -> pd.DataFrame:
    at = (pairs["model"] == model) & (pairs["method"] == method) & (pairs["q"] == q) & (pairs["stage"] == stage)
    return pairs[at & ((pairs["p"] == p) if stage == "refined" else True)]


def assert_shown(seen: Seen, rows: pd.DataFrame, stage: str, measure: str) -> None:
    cells = seen.values(stage)
    assert len(cells) == len(rows) == len(SETS) * (len(SETS) - 1) / 2
    for row in rows.to_dict("records"):
        value, text, colour = cells[frozenset((row["a"], row["b"]))]
        expected = row["iou"] - row["floor_iou"] if measure == "above" else row[VALUES[measure]]
        if np.isnan(expected):
            assert (value, text, colour) == ("", "–", "none")
            continue
        assert (
            float(value) == pytest.approx(expected, abs=1e-4)
            if measure == "above"
            else [float(value)] == digits4([expected])
        )
        assert (text, colour) == (short(float(value)), level(float(value)))


def test_every_choice_shows_the_values_of_the_table(seen: Seen, page: Page):
    choices = [
        (m, n, q, v) for m in MODELS for n in METHODS for q in GRID for v in [*VALUES, "above"] if (m, n) != LACKING
    ]
    for model, method, q, measure in random.Random(0).sample(choices, 12):
        seen.choose(model=model, method=method, q=GRID.index(q), measure=measure)
        for stage in ("raw", "refined"):
            assert_shown(seen, rows_of(page.pairs, model, method, q, stage, q), stage, measure)
        assert f"{method} on {model}, q = {100 * q:g}%, p = {100 * q:g}%" in seen.tab.inner_text("#status")


def test_p_has_a_slider_of_its_own_where_the_table_has_it(browser: Browser, tmp_path):
    page = make_page(tmp_path, free=True)
    seen = look(browser, page.url)
    assert_shown(seen, rows_of(page.pairs, "tiny-llama", "snip", 0.05, "refined", 0.1), "refined", "iou")
    for q, p in random.Random(0).sample([(q, p) for q in GRID for p in GRID], 4):
        seen.choose(q=GRID.index(q), p=GRID.index(p))
        assert_shown(seen, rows_of(page.pairs, "tiny-llama", "snip", q, "refined", p), "refined", "iou")
        assert_shown(seen, rows_of(page.pairs, "tiny-llama", "snip", q, "raw"), "raw", "iou")
    assert seen.messages == []


def test_curve_and_its_table_show_the_means_of_the_choice(seen: Seen, page: Page):
    seen.choose(model="tiny-qwen2", method="wanda", q=1)
    rows = seen.tab.eval_on_selector_all(
        "#by-q tbody tr", "rows => rows.map(row => [...row.cells].map(c => c.textContent))"
    )
    for q, row in zip(GRID, rows, strict=True):
        of = [rows_of(page.pairs, "tiny-qwen2", "wanda", q, stage, q) for stage in ("raw", "refined")]
        assert row == [f"{100 * q:g}%", *(short(at[name].mean()) for at in of for name in ("iou", "floor_iou"))]
    marks = seen.tab.locator("#curve circle").count(), seen.tab.locator("#curve rect").count()
    assert marks == (len(GRID), len(GRID)) and seen.tab.locator("#curve path").count() == 4


def test_stages_can_be_shown_alone_and_methods_that_a_model_lacks_not_at_all(seen: Seen):
    for stage, shown in (("raw", (True, False)), ("refined", (False, True)), ("both", (True, True))):
        seen.choose(stage=stage)
        assert (seen.tab.is_visible("#matrix-raw"), seen.tab.is_visible("#matrix-refined")) == shown
    seen.choose(method=LACKING[1], model=LACKING[0])
    assert seen.tab.input_value("#method") != LACKING[1]
    assert seen.tab.is_disabled(f"#method option:text-is('{LACKING[1]}')")


def test_verdicts_say_their_reason_on_focus_and_on_tap_in_words(seen: Seen):
    drop = seen.tab.locator(".claim", has_text=DROP.statement)
    buttons = drop.locator("button.verdict")
    assert [buttons.nth(i).inner_text() for i in range(3)] == ["✓ holds", "✗ does not hold", "✗ does not hold"]
    buttons.nth(1).focus()
    assert (
        drop.locator(".why").inner_text()
        == f"tiny-qwen2, snip: does not hold. {HOSTILE} of tiny-qwen2, snip Effect: 0.250 mean IoU."
    )
    buttons.nth(0).click()
    assert drop.locator(".why").inner_text().startswith("tiny-llama, snip: holds.")
    assert drop.locator("[aria-pressed=true]").count() == 1


def test_hostile_names_are_text(seen: Seen):
    assert HOSTILE in seen.tab.locator("#matrix-raw thead").inner_text()
    assert HOSTILE in seen.tab.inner_text("h1") and HOSTILE in seen.tab.inner_text("#table-evaluate")
    assert seen.tab.evaluate("[...document.images].every(image => image.getAttribute('src') !== 'x')")


def test_keyboard_reaches_everything_in_order_and_moves_the_slider(seen: Seen, page: Page):
    reachable = "a[href], button, select, input, summary, [tabindex='0']"
    count = seen.tab.evaluate(
        f'[...document.querySelectorAll("{reachable}")]'
        ".filter(e => e.checkVisibility()).map((e, i) => e.dataset.place = i).length"
    )
    order = []
    for _ in range(count):
        seen.tab.keyboard.press("Tab")
        order.append(int(seen.tab.evaluate("document.activeElement.dataset.place")))
        outline = seen.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", seen.tab.evaluate("document.activeElement.outerHTML")
    assert order == list(range(count)) and count > 40
    seen.tab.focus("#q")
    seen.tab.keyboard.press("ArrowRight")
    assert_shown(seen, rows_of(page.pairs, "tiny-llama", "snip", 0.1, "refined", 0.1), "refined", "iou")
    seen.tab.focus("body")
    seen.tab.evaluate("document.activeElement.blur()")


def test_pictures_are_there_and_one_that_is_not_is_said(browser: Browser, tmp_path):
    page = make_page(tmp_path)
    Path(tmp_path, f"{PICTURES[2]}.png").unlink()
    seen = look(browser, page.url)
    seen.tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    seen.tab.evaluate("for (const image of document.images) image.loading = 'eager'")
    seen.tab.wait_for_selector("text=The picture does not lie beside this page")
    seen.tab.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert seen.tab.locator("img").count() == len(PICTURES) - 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_no_sideways_scrolling(browser: Browser, page: Page, scheme):
    seen = look(browser, page.url, viewport=PHONE, color_scheme=scheme)
    for opened in ("false", "true"):
        seen.tab.evaluate(f"document.querySelectorAll('details').forEach(d => d.open = {opened})")
        assert seen.tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    dark = seen.tab.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    seen.tab.context.close()


def test_without_scripts_and_on_paper_the_tables_are_there_and_the_controls_are_not(browser: Browser, page: Page):
    seen = look(browser, page.url, java_script_enabled=False)
    assert seen.tab.is_hidden(".choose") and seen.tab.is_visible("#matrix-refined")
    assert "Choosing others here needs JavaScript" in seen.tab.inner_text("#overlap")
    seen.tab.context.close()
    printed = look(browser, page.url)
    printed.tab.emulate_media(media="print")
    assert printed.tab.is_hidden(".choose") and printed.tab.is_hidden("nav") and printed.tab.is_visible("#matrix-raw")
    printed.tab.context.close()
