"""appendix.pdf: every figure with its caption, in order, on pages of A4, as vector graphics."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.errors import PyPdfError
from pypdf.generic import ArrayObject, DecodedStreamObject, DictionaryObject, NameObject, StreamObject

from safety_regions.errors import UserError
from safety_regions.files import atomic_path
from safety_regions.report.figures.style import METADATA, new_figure, paper_style, plain_fonts
from safety_regions.report.numbers import percent
from safety_regions.report.page.gallery import Shown

WIDTH, HEIGHT = 595.0, 842.0
"""A4 in points."""
MARGIN, GAP, LINE = 50.0, 22.0, 10.5
CHARACTERS = 112
"""Of a caption's line at 7.5 points."""


@dataclass(frozen=True)
class Placed:
    """A figure on its page: its lower left corner and scale, and the lines of its caption below it."""

    figure: Shown
    page: PageObject
    lines: list[str]
    x: float
    y: float
    scale: float


def write_appendix(config: dict[str, Any], figures: Sequence[Shown], folder: Path) -> None:
    """Write appendix.pdf into the report's folder, of the PDFs that lie there; equal figures give equal bytes.

    Raises `UserError` naming a file that is no PDF.
    """
    pages = list(_pages(figures, folder))
    writer = PdfWriter()
    for sheet in PdfReader(_sheets(config, pages)).pages:
        writer.add_page(sheet)
    for number, placed in enumerate(pages, 1):
        _draw(writer, writer.pages[number], placed)
        writer.add_outline_item(title=_heading(placed[0]), page_number=number)
    writer.compress_identical_objects()
    writer.metadata = {"/Title": f"Safety regions: {config['name']}, all figures"}
    with atomic_path(folder / "appendix.pdf") as temporary, open(temporary, "wb") as file:
        writer.write(file)


def _draw(writer: PdfWriter, sheet: PageObject, placed: list[Placed]) -> None:
    """Lay figures over a page.

    Each stays one object, a form, whose content is not read: that would take a fifth of a second each.
    """
    forms, commands = DictionaryObject(), []
    for index, item in enumerate(placed):
        forms[NameObject(f"/Figure{index}")] = writer._add_object(_form(writer, item.page))
        place = f"{item.scale:.5f} 0 0 {item.scale:.5f} {item.x:.2f} {item.y:.2f}"
        commands.append(f"q {place} cm /Figure{index} Do Q")
    drawn = DecodedStreamObject()
    drawn.set_data("\n".join(commands).encode())
    # All pages share one dictionary of resources, so a page with figures of its own needs a dictionary of its own.
    shared = cast(DictionaryObject, sheet["/Resources"])
    sheet[NameObject("/Resources")] = DictionaryObject({**shared, NameObject("/XObject"): forms})
    sheet[NameObject("/Contents")] = ArrayObject([sheet.raw_get("/Contents"), writer._add_object(drawn)])


def _form(writer: PdfWriter, page: PageObject) -> StreamObject:
    content = page.get_contents()
    drawn = DecodedStreamObject()
    drawn.set_data(content.get_data() if content is not None else b"")
    form = drawn.flate_encode()
    form[NameObject("/Type")] = NameObject("/XObject")
    form[NameObject("/Subtype")] = NameObject("/Form")
    form[NameObject("/BBox")] = page.mediabox.clone(writer)
    for name in ("/Resources", "/Group"):
        if name in page:
            form[NameObject(name)] = page[name].clone(writer)
    return form


def _heading(placed: Placed) -> str:
    return placed.figure.about or "All models and methods"


def _pages(figures: Sequence[Shown], folder: Path) -> Iterator[list[Placed]]:
    """Figures one below another while they fit on a page; what is about another model or method begins a new one."""
    page: list[Placed] = []
    top = HEIGHT - MARGIN
    for number, figure in enumerate(figures, 1):
        drawn = _read(folder / f"{figure.name}.pdf")
        about = f" ({figure.about})" if figure.about else ""
        lines = textwrap.wrap(f"Figure A{number}. {figure.title}{about}. {figure.caption}", CHARACTERS)
        text = LINE * (len(lines) + 1)
        width, height = float(drawn.mediabox.width), float(drawn.mediabox.height)
        scale = min(1.0, (WIDTH - 2 * MARGIN) / width, (HEIGHT - 2 * MARGIN - text) / height)
        if page and (top - scale * height - text < MARGIN or page[0].figure.about != figure.about):
            yield page
            page, top = [], HEIGHT - MARGIN
        top -= scale * height
        page.append(Placed(figure, drawn, lines, MARGIN, top, scale))
        top -= text + GAP
    if page:
        yield page


def _read(path: Path) -> PageObject:
    try:
        return PdfReader(path).pages[0]
    except (PyPdfError, IndexError) as error:
        raise UserError(f"not a PDF with a page: {error}", where=str(path)) from None


@paper_style
def _sheets(config: dict[str, Any], pages: Sequence[Sequence[Placed]]) -> io.BytesIO:
    """A PDF of the title page and, for each page, its captions and number."""
    content = io.BytesIO()
    with plain_fonts(), PdfPages(content, metadata=METADATA) as pdf:
        pdf.savefig(_title(config, sum(len(page) for page in pages)))
        for number, page in enumerate(pages, 2):
            sheet = _sheet()
            for placed in page:
                for index, line in enumerate(placed.lines, 1):
                    _write(sheet, MARGIN, placed.y - 2 - LINE * index, line, 7.5)
            _write(sheet, WIDTH / 2, MARGIN / 2, str(number), 7.5, ha="center")
            pdf.savefig(sheet)
    return content


def _title(config: dict[str, Any], n_figures: int) -> Figure:
    sheet, datasets, thresholds = _sheet(), config["datasets"], config["thresholds"]
    lines = [
        f"Models: {', '.join(config['models'])}",
        f"Safety sets: {', '.join(datasets['safety'])}",
        f"Harmless (utility) sets: {', '.join(datasets['utility'])}",
        f"{datasets['n_samples']} prompts per set; q = {percent(thresholds['q'])}, p = {percent(thresholds['p'])}, "
        f"top fraction per {thresholds['scope']}",
        f"{n_figures} figures, with their captions, in the order of the report page; "
        "the numbers drawn lie beside it as CSV",
    ]
    _write(sheet, MARGIN, HEIGHT - 2 * MARGIN, f"Safety regions: {config['name']}", 18.0)
    height = HEIGHT - 2 * MARGIN - 30
    for line in (part for text in lines for part in [*textwrap.wrap(text, 90), ""]):
        _write(sheet, MARGIN, height, line, 9.0)
        height -= 13 if line else 5
    return sheet


def _sheet() -> Figure:
    figure = new_figure(WIDTH / 72, HEIGHT / 72)
    figure.set_layout_engine(None)
    return figure


def _write(sheet: Figure, x: float, y: float, text: str, size: float, ha: str = "left") -> None:
    sheet.text(x / WIDTH, y / HEIGHT, text, fontsize=size, ha=ha, va="baseline", parse_math=False)
