"""The report page without a browser: what is in its tables and its JSON, what it says in words, and that nothing gets
out of it.
"""

import base64
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import (
    GRID,
    HOSTILE,
    LACKING,
    LITTLE,
    METHODS,
    MODELS,
    PICTURES,
    SETS,
    Page,
    make_config,
    make_page,
    make_pairs,
)

from safety_regions.claims.verdict import FAILS, HOLDS, UNDECIDED, Outcome, Verdict
from safety_regions.report.numbers import cell, digits4, short, with_interval, words
from safety_regions.report.page.explorer_data import MEASURES, at_start, matrix, means, selection
from safety_regions.report.page.heat_map import LEVELS, heat_classes, level
from safety_regions.report.page.verdicts import VerdictCell, claim_articles, sentence
from safety_regions.report.tables import ReportTables


class Reader(HTMLParser):
    """The page as a browser's parser sees it, near enough: tags with attributes, and text by the tag it stands in."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.within: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.within.append(tag)

    def handle_data(self, data):
        self.texts.append((self.within[-1] if self.within else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return make_page(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def html(page: Page) -> Reader:
    return Reader(page.text)


@pytest.mark.parametrize("free", [False, True])
def test_json_holds_every_value_of_the_table_with_four_digits_and_nothing_else(free):
    pairs = make_pairs(free)
    data = selection(make_config(), pairs)
    place = list(itertools.combinations(range(len(SETS)), 2))
    found = 0
    for row in pairs.sample(frac=1, random_state=0).itertuples():
        q, pair = data["grid"].index(row.q), place.index((SETS.index(row.a), SETS.index(row.b)))
        region = data["regions"][row.model][row.method]
        block = region["raw"][q] if row.stage == "raw" else region["refined"][q][str(data["grid"].index(row.p))]
        for measure, values in zip(MEASURES, block[:-1], strict=True):
            assert [values[pair]] == digits4([getattr(row, measure)])
            found += 1
        assert len(block) == len(MEASURES) + 1
    blocks = [
        b
        for of in data["regions"].values()
        for r in of.values()
        for b in [*r["raw"], *(b for at in r["refined"] for b in at.values())]
    ]
    assert found == sum(len(values) for block in blocks for values in block[: len(MEASURES)])
    assert data["free"] == free and data["grid"] == GRID and data["sets"] == SETS
    assert LACKING[1] not in data["regions"][LACKING[0]]


def test_pairs_named_the_other_way_round_and_in_any_order_give_the_same_json():
    pairs = make_pairs()
    turned = pairs.rename(columns={"a": "b", "b": "a"})
    shuffled = turned.sample(frac=1, random_state=1).sort_values(["model", "method"])
    expected = selection(make_config(), pairs.sort_values(["model", "method"], kind="stable"))
    assert selection(make_config(), shuffled) == expected


def test_without_scripts_the_tables_of_the_runs_own_fractions_are_there(html: Reader, page: Page):
    cells = [a for a in html.all("td") if "data-pair" in a]
    rows = page.pairs.query("model == 'tiny-llama' and method == 'snip' and q == 0.05")
    expected = []
    for stage in ("raw", "refined"):
        of = {frozenset((r.a, r.b)): r.iou for r in rows[rows["stage"] == stage].itertuples()}
        expected += [of[frozenset((a, b))] for a in SETS for b in SETS if a != b]
    assert [float(a["data-value"] or "nan") for a in cells] == pytest.approx(expected, rel=1e-3, nan_ok=True)
    assert [a["class"] for a in cells] == [level(value) for value in digits4(expected)]
    texts = [text for tag, text in html.texts if tag == "td" and text.strip()]
    assert set(map(short, digits4(expected))) <= set(texts)


def test_same_arguments_give_the_same_bytes(page: Page, tmp_path):
    assert make_page(tmp_path).text == page.text


def test_hostile_names_come_out_as_text(html: Reader, page: Page):
    assert not [a for tag, a in html.tags if "onerror" in a or a.get("src") == "x"]
    data = json.loads(next(text for tag, text in html.texts if tag == "script"))
    assert HOSTILE in data["sets"]
    assert len(html.all("script")) == page.text.count("</script>") == 2
    assert page.text.count("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;") > 20


def test_policy_allows_this_script_and_this_style_alone(html: Reader, page: Page):
    (policy,) = [a["content"] for a in html.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}';")
    assert "http" not in policy and "unsafe" not in policy
    assert not [a for _, a in html.tags if "style" in a or any(name.startswith("on") for name in a)]


def test_nothing_is_fetched_from_elsewhere_and_links_lead_to_files_that_are_there(html: Reader, page: Page):
    wanted = [a[key] for _, a in html.tags for key in ("src", "href") if a.get(key)]
    ids = {a["id"] for _, a in html.tags if "id" in a}
    for link in wanted:
        if link.startswith("#"):
            assert link[1:] in ids
        elif not link.startswith("data:image/png;base64,"):
            assert (page.path.parent / link).is_file(), link


def test_headings_go_down_one_step_at_a_time_and_ids_are_unique(html: Reader):
    steps = [int(tag[1]) for tag, _ in html.tags if re.fullmatch("h[1-6]", tag)]
    assert steps[0] == 1 and steps.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(steps))
    ids = [a["id"] for _, a in html.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_every_figure_has_its_files_its_origin_and_a_command(html: Reader, page: Page):
    code = [text for tag, text in html.texts if tag == "pre"]
    links = {a["href"] for a in html.all("a")}
    for name in PICTURES:
        assert f"safety-regions provenance results/report/own.0123456789ab/{name}.pdf" in code
        assert {f"{name}.{ending}" for ending in ("pdf", "png", "csv")} <= links
    assert [str(a["src"])[:5] for a in html.all("img")] == ["data:", "tiny-", "tiny-", "tiny-"]


def test_page_of_a_run_with_pairs_alone_and_of_one_with_nothing(tmp_path):
    page = make_page(tmp_path / "pairs", tables=ReportTables(make_pairs()), verdicts=[], figures=[])
    assert "No claims were decided" in page.text and "None" not in page.text
    empty = make_page(tmp_path / "empty", tables=ReportTables(), verdicts=[], figures=[])
    assert not Reader(empty.text).all("select")


def test_a_run_as_large_as_the_demo_stays_below_two_megabytes(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"syn_set{i}" for i in range(10)]
    axes = (
        range(4),
        ("snip", "wanda", "safeneuron", "safelayer", "nlsr"),
        range(1, 10),
        ("raw", "refined"),
        itertools.combinations(names, 2),
    )
    rows = [
        [f"tiny-{m}", method, stage, q / 40, q / 40 if stage == "refined" else np.nan, *pair]
        for m, method, q, stage, pair in itertools.product(*axes)
    ]
    pairs = pd.DataFrame(rows, columns=["model", "method", "stage", "q", "p", "a", "b"])
    pairs[list(MEASURES)] = rng.random((len(pairs), 3))
    assert len(make_page(tmp_path, tables=ReportTables(pairs), figures=[]).text) < 1_000_000


@given(st.floats(0, 1))
def test_a_number_of_the_json_is_written_as_the_number_that_it_was(value):
    (rounded,) = digits4([value])
    assert short(rounded) == short(value) and rounded == pytest.approx(value, rel=1e-3)


def test_means_are_of_the_numbers_and_not_of_rounded_ones():
    """With four digits these have a mean of 0.125, which is written .12; their own is above it."""
    columns = ["model", "method", "stage", "q", "p", "a", "b", *MEASURES]
    rows = [("m", "snip", "raw", 0.05, np.nan, *pair, 0.0, 0.0) for pair in (("x", "y", 0.12454), ("x", "z", 0.12554))]
    config = {"datasets": {"safety": ["x", "y", "z"]}, "thresholds": {"q": 0.05, "p": 0.05}}
    block = at_start(selection(config, pd.DataFrame(rows, columns=columns)))["blocks"]["raw"]
    assert short(means(block)[0]) == short((0.12454 + 0.12554) / 2) == ".13"


@given(st.floats(0, 1))
def test_shares_are_written_as_in_the_figures_and_their_colours_run_from_end_to_end(value):
    assert short(value) == cell(value)
    assert short(-value) in (cell(value), f"\u2212{cell(value)}", ">\u2212.01")
    assert level(value) == f"h{int(value * LEVELS + 0.5)}"


def test_every_level_has_colours_that_can_be_read():
    rules = re.findall(r"\.h(\d+)\{background:#(\w{6});color:#(fff|000)\}", heat_classes())
    assert [int(step) for step, _, _ in rules] == list(range(LEVELS + 1))
    for _, background, ink in rules:
        parts = [int(background[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert (1.05 / (luminance + 0.05) if ink == "fff" else (luminance + 0.05) / 0.05) >= 4.5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, "0.500"),
        (-0.25, "\u22120.250"),
        (12345.6, "1.23e+04"),
        (-2.0, "\u22122"),
        (3, "3"),
        (1225.0, "1225"),
        ([1, 2], "[1, 2]"),
        (True, "yes"),
        (np.nan, ""),
        (None, ""),
        ("a", "a"),
        (1e-7, "1.0e-07"),
    ],
)
def test_numbers_in_tables(value, expected):
    assert words(value) == expected


def test_intervals():
    assert with_interval(0.5, 0.25, 0.75) == "0.500 [0.250, 0.750]"
    assert with_interval(0.5, np.nan, 0.75) == "0.500"
    assert with_interval(None, 0, 1) == "–"


def test_means_and_matrix_of_pairs_that_are_undefined():
    assert means([[0.25, None, 0.75], [None], [], [0.5, None, None]]) == [0.5, None, None]
    assert matrix([[0.1, 0.2, 0.3]], 3)[2] == [(1, 0.2), (2, 0.3), None]
    assert matrix([[]], 2) == [[None, (0, None)], [(0, None), None]]
    pairs = make_pairs()
    data = selection(make_config(), pairs[pairs["stage"] == "raw"])
    assert at_start(data)["blocks"]["refined"] == [[], [], [], [None] * 3]


def cells(**letters: str) -> list[VerdictCell]:
    """`snip="hd?"`: by method the first letters of its decisions, one per model."""
    decisions = {"h": HOLDS, "d": FAILS, "?": UNDECIDED}
    return [
        VerdictCell(f"model{number}", method, decisions[letter], "", "")
        for method, of_method in letters.items()
        for number, letter in enumerate(of_method)
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (cells(snip="hh", wanda="hh"), "Holds with every method on every model."),
        (cells(snip="?"), "Cannot be decided with every method."),
        (cells(snip="h", wanda="d", nlsr="h"), "Holds with snip and nlsr; does not hold with wanda."),
        (cells(a="hh", b="hh", c="hh", d="dd"), "Holds with a, b and c; does not hold with d."),
        (
            cells(snip="hh", wanda="hd", nlsr="?d"),
            "Holds in 3 of 6 cases (with snip on every model); does not hold in 2; cannot be decided in 1.",
        ),
        (cells(snip="d?"), "Does not hold in 1 of 2 cases; cannot be decided in 1."),
    ],
)
def test_a_claim_in_one_sentence(given, expected):
    assert sentence(given) == expected


def test_table_of_verdicts_is_high_rather_than_wide():
    outcome = Outcome(HOLDS, "why")
    many = [Verdict(LITTLE, model, method, outcome) for model in MODELS for method in METHODS]
    (article,) = claim_articles(many)
    assert (article.rows, article.columns) == (METHODS, MODELS)
    assert article.at("wanda", "tiny-llama") is article.cells["tiny-llama", "wanda"]
    (article,) = claim_articles(many[:1] + many[3:4])
    assert (article.rows, article.columns) == (MODELS, ["snip"])
    assert article.at("tiny-qwen2", "snip") is article.cells["tiny-qwen2", "snip"]
    assert article.cells["tiny-llama", "snip"].why == "tiny-llama, snip: holds. why Effect: mean IoU."
