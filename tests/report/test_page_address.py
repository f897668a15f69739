"""What is chosen on the page stands in its address: links show it, back and forward lead through it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl

import pandas as pd
import pytest
from pages import GRID, HOSTILE, LACKING, METHODS, MODELS, Page, make_page, make_tables
from playwright.sync_api import Browser, expect
from tabs import PHONE, Seen, look

SORTED = "table-confounds.sort"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    tables = make_tables(free=True)
    rows = [tables.confounds.assign(rho=place / 20, covariate=f"{place} {HOSTILE}") for place in range(20)]
    many = replace(tables, confounds=pd.concat(rows, ignore_index=True))
    return make_page(tmp_path_factory.mktemp("address"), free=True, tables=many)


@pytest.fixture
def seen(browser: Browser, page: Page) -> Iterator[Seen]:
    seen = look(browser, page.url)
    yield seen
    assert seen.messages == []
    seen.tab.context.close()


def fragment(seen: Seen) -> dict[str, str]:
    """What the address says, and under "" the place in the page that it names."""
    said = seen.tab.evaluate("location.hash").removeprefix("#")
    place = said.partition("&")[0]
    return {"": "" if "=" in place else place} | dict(parse_qsl(said))


def shown(seen: Seen) -> dict[str, object]:
    """All that can be chosen, as one sees it."""
    return seen.tab.evaluate(
        """() => ({
            chosen: [...document.querySelectorAll('.choose select, .choose input')].map(control => control.value),
            status: document.getElementById('status').textContent,
            matrix: document.getElementById('matrix-refined').textContent,
            stages: ['raw', 'refined'].map(stage => document.getElementById(`box-${stage}`).hidden),
            opened: [...document.querySelectorAll('details[open]')].map(fold => fold.id),
            typed: document.querySelector('[type=search]').value,
            rows: [...document.querySelectorAll('#table-confounds tbody tr:not([hidden])')].map(row => row.textContent),
            sorted: [...document.querySelectorAll('[aria-sort]')].map(head => [head.textContent, head.ariaSort]),
        })"""
    )


def choose_everything(seen: Seen) -> None:
    seen.choose(model="tiny-qwen2", method="wanda", measure="above", stage="refined", q=3, p=0)
    seen.tab.click("#fold-confounds > summary")
    seen.tab.wait_for_url(re.compile("fold-confounds=open"))
    seen.tab.fill("[type=search]", f"19 {HOSTILE}")
    for _ in range(2):
        seen.tab.click("#table-confounds th:nth-child(5) button")


def test_a_page_as_it_begins_has_nothing_in_its_address(seen: Seen, page: Page):
    assert seen.tab.evaluate("location.href") == page.url
    seen.choose(method="wanda", q=0)
    seen.choose(method="snip", q=1)
    assert fragment(seen) == {"": "overlap"}


def test_the_address_says_what_is_chosen_and_a_link_shows_it(seen: Seen, browser: Browser):
    choose_everything(seen)
    assert fragment(seen) == {
        "": "fold-confounds",
        "model": "tiny-qwen2",
        "method": "wanda",
        "measure": "above",
        "stage": "refined",
        "q": str(GRID[3]),
        "p": str(GRID[0]),
        "fold-confounds": "open",
        "table-confounds": f"19 {HOSTILE}",
        SORTED: "-5",
    }
    assert len(shown(seen)["rows"]) == 1
    for size in ({}, {"viewport": PHONE}):
        other = look(browser, seen.tab.url, **size)
        assert shown(other) == shown(seen)
        assert other.tab.locator("#fold-confounds").bounding_box()["y"] == pytest.approx(0, abs=1)
        assert other.tab.url == seen.tab.url and other.messages == []
        other.tab.context.close()


def test_back_and_forward_lead_through_what_was_chosen(seen: Seen):
    states = [shown(seen)]
    for choice in ({"model": "tiny-qwen2"}, {"measure": "floor"}, {"q": 0}):
        seen.choose(**choice)
        states.append(shown(seen))
    seen.tab.click("#fold-confounds > summary")
    seen.tab.wait_for_url(re.compile("fold-confounds=open"))
    states.append(shown(seen))
    seen.tab.click("#table-confounds th:nth-child(5) button")
    states.append(shown(seen))
    for state in states[-2::-1]:
        seen.tab.go_back()
        assert shown(seen) == state
    for state in states[1:]:
        seen.tab.go_forward()
        assert shown(seen) == state


def test_a_word_typed_or_a_slider_moved_is_one_step_back(seen: Seen):
    began = shown(seen)
    for at in (0, 2, 3):
        seen.choose(q=at)
    seen.tab.click("#fold-confounds > summary")
    seen.tab.wait_for_url(re.compile("fold-confounds=open"))
    seen.tab.type("[type=search]", "1 2")
    assert fragment(seen)["table-confounds"] == "1 2"
    for gone in ("table-confounds", "fold-confounds", "q"):
        assert gone in fragment(seen)
        seen.tab.go_back()
        assert gone not in fragment(seen)
    assert shown(seen) == began


@pytest.mark.parametrize(
    "address",
    [
        "#model=unknown&method=&measure=snip&stage=0&q=0.3&p=x",
        "#nowhere&model=TINY-QWEN2&fold-confounds=yes&fold-unknown=open",
        "#fold-confounds.sort=5&table-confounds.sort=99",
        "#table-confounds.sort=--5&table-confounds.sort=0",
        "#%E0%A4%A&q=&__proto__=open&constructor=open",
        "#=&&=open",
    ],
)
def test_what_means_nothing_is_ignored_and_leaves_the_address(seen: Seen, browser: Browser, page: Page, address: str):
    other = look(browser, page.url + address)
    assert shown(other) == shown(seen)
    assert list(fragment(other)) == [""] and other.messages == []
    other.tab.context.close()


def test_a_method_that_the_model_lacks_gives_way_to_one_that_it_has(browser: Browser, page: Page):
    seen = look(browser, f"{page.url}#model={LACKING[0]}&method={LACKING[1]}")
    assert seen.tab.input_value("#model") == LACKING[0] == MODELS[1]
    assert seen.tab.input_value("#method") == METHODS[1]
    assert fragment(seen) == {"": "", "model": LACKING[0], "method": METHODS[1]}
    seen.tab.context.close()


def test_links_within_the_page_leave_what_is_chosen(seen: Seen):
    choose_everything(seen)
    before = shown(seen)
    seen.tab.click("nav a[href='#overlap']")
    seen.tab.wait_for_url(re.compile("#overlap&.*model=tiny-qwen2"))
    assert shown(seen) == before
    seen.tab.go_back()
    assert fragment(seen)[""] == "fold-confounds" and shown(seen) == before


def test_an_address_typed_over_another_shows_what_it_says(seen: Seen):
    choose_everything(seen)
    seen.tab.evaluate("location.hash = '#claims&model=tiny-qwen2'")
    expect(seen.tab.locator("[type=search]")).to_have_value("")
    assert fragment(seen) == {"": "claims", "model": "tiny-qwen2", "method": "wanda"}
    assert seen.tab.input_value("#q") == "1" and shown(seen)["opened"] == []
    seen.tab.go_back()
    expect(seen.tab.locator("[type=search]")).not_to_have_value("")
    assert seen.tab.input_value("#q") == "3"


def test_a_link_to_a_figure_in_a_closed_part_opens_it(browser: Browser, page: Page):
    seen = look(browser, f"{page.url}#figure-tiny-llama.snip.nway")
    assert seen.tab.locator("#group-tiny-llama\\.snip").get_attribute("open") is not None
    assert seen.tab.is_visible("#figure-tiny-llama\\.snip\\.nway h3")
    seen.tab.context.close()


def test_in_a_document_without_an_address_of_its_own_the_page_works(browser: Browser, page: Page):
    seen = look(browser, "about:blank")
    seen.tab.set_content("<iframe id='inner' width='1200' height='800'></iframe>")
    seen.tab.evaluate("text => { document.getElementById('inner').srcdoc = text }", page.text)
    inner = seen.tab.frame_locator("#inner")
    inner.locator("#model").select_option("tiny-qwen2")
    assert "tiny-qwen2" in inner.locator("#status").inner_text()
    seen.tab.context.close()
