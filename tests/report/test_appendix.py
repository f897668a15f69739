"""appendix.pdf: every figure once, in order, each with its own caption, and the same bytes every time."""

import re
from pathlib import Path

import pytest
from pages import PICTURES, make_config, write_figures, write_pdf
from pypdf import PageObject, PdfReader

from safety_regions.errors import UserError
from safety_regions.report.inputs import Part
from safety_regions.report.page.appendix import write_appendix
from safety_regions.report.page.gallery import Maker, list_figures

ORDER = ["headline", "tiny-llama.snip.iou_matrix", "tiny-llama.snip.nway", "tiny-qwen2.wanda.iou_matrix"]


def contents(page: PageObject) -> list[bytes]:
    """What the figures on a page draw, from top to bottom."""
    return [form.get_object().get_data() for form in page["/Resources"]["/XObject"].values()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("appendix")
    write_appendix(make_config(), write_figures(folder), folder)
    return folder


def test_each_figure_is_there_once_on_the_page_of_its_caption(folder: Path):
    title, *pages = PdfReader(folder / "appendix.pdf").pages
    assert "/XObject" not in title["/Resources"] or not title["/Resources"]["/XObject"]
    assert "tiny-llama, tiny-qwen2" in title.extract_text() and "4 figures" in title.extract_text()
    expected = [PdfReader(folder / f"{name}.pdf").pages[0].get_contents().get_data() for name in ORDER]
    assert [contents(page) for page in pages] == [expected[:1], expected[1:3], expected[3:]]
    captions = [re.findall(r"Figure (A\d+)\. ([^.(]+[^.( ])", page.extract_text()) for page in pages]
    assert captions == [
        [("A1", "All models and methods at a glance")],
        [("A2", "IoU of every pair of sets"), ("A3", "As sets are added")],
        [("A4", "IoU of every pair of sets")],
    ]


def test_bookmarks_lead_to_what_a_page_is_about(folder: Path):
    reader = PdfReader(folder / "appendix.pdf")
    marks = {mark.title: reader.get_destination_page_number(mark) for mark in reader.outline}
    assert marks == {"All models and methods": 1, "tiny-llama, SNIP": 2, "tiny-qwen2, Wanda": 3}


def test_figures_are_made_smaller_where_they_must_and_never_larger(tmp_path):
    write_pdf(tmp_path / "headline.pdf", "", 1000.0, 400.0)
    write_pdf(tmp_path / "evaluate.pdf", "", 200.0, 2000.0)
    write_pdf(tmp_path / "responses.pdf", "", 100.0, 100.0)
    write_appendix(make_config(), list_figures(tmp_path, [], Maker("", "")), tmp_path)
    pages = PdfReader(tmp_path / "appendix.pdf").pages[1:]
    drawn = [
        place
        for page in pages
        for place in re.findall(r"q ([\d. ]+) cm /Figure", page.get_contents().get_data().decode())
    ]
    scales = [float(place.split()[0]) for place in drawn]
    assert scales[0] == pytest.approx(0.495) and scales[1] == 1 and scales[2] < 0.4
    assert all(float(place.split()[5]) > 50 for place in drawn)


def test_same_figures_give_the_same_bytes(folder: Path, tmp_path):
    write_appendix(make_config(), write_figures(tmp_path), tmp_path)
    assert (tmp_path / "appendix.pdf").read_bytes() == (folder / "appendix.pdf").read_bytes()


def test_figures_are_listed_by_run_model_and_method_in_the_order_of_the_parts(tmp_path):
    folder, part = tmp_path / "report", tmp_path / "figures"
    folder.mkdir()
    part.mkdir()
    write_figures(folder)
    write_pdf(part / "iou_matrix.pdf", "")
    parts = [
        Part("figures", "tiny-qwen2", "wanda", part, "abc"),
        Part("overlap", "tiny-llama", "snip", tmp_path / "none", "def"),
    ]
    shown = list_figures(folder, parts, Maker("results/report/own", "123"))
    assert [figure.name for figure in shown] == [ORDER[0], ORDER[3], ORDER[1], ORDER[2]]
    assert sorted(PICTURES) == sorted(ORDER)
    assert (shown[1].maker, shown[1].about) == (Maker(str(part), "abc"), "tiny-qwen2, Wanda")
    assert (shown[0].maker, shown[0].about) == (Maker("results/report/own", "123"), "")


def test_a_file_that_is_no_pdf_is_named(tmp_path):
    shown = write_figures(tmp_path)
    (tmp_path / "headline.pdf").write_text("picture")
    with pytest.raises(UserError, match=r"headline\.pdf"):
        write_appendix(make_config(), shown, tmp_path)
