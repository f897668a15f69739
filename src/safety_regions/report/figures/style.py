"""What all figures share: size, colours, words for numbers, the footer, and files with the same bytes on every run."""

import contextlib
import functools
import io
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import matplotlib.style
import numpy as np
import pandas as pd
from fontTools.subset import Options
from jaxtyping import Bool, Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from safety_regions.claims.rows import at
from safety_regions.errors import UserError
from safety_regions.files import atomic_path
from safety_regions.planning.recipes.report import FigureContext
from safety_regions.report.numbers import percent
from safety_regions.table_files import write_csv

STYLE = Path(__file__).with_name("paper.mplstyle")
ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0
"""Widths in inches."""

# Okabe and Ito's palette, safe for the colour-blind; marker, filling and dashes tell the two apart in grey.
BEFORE, AFTER = "#0072B2", "#D55E00"
MARKERS: dict[str, dict[str, Any]] = {"raw": {"marker": "o"}, "refined": {"marker": "s", "markerfacecolor": "white"}}
COLOURS = {"raw": BEFORE, "refined": AFTER}
TITLES = {"raw": "Before refinement", "refined": "After refinement"}
CHANCE = {"raw": "Chance before", "refined": "Chance after"}
FLOOR_DASHES = {"raw": (0, (4, 2)), "refined": (0, (1.2, 1.4))}
# Perceptually uniform and ordered in grey; the black end is left out, which would make panels of large shares heavy
# blocks.
SHARES = ListedColormap(matplotlib.colormaps["magma_r"](np.linspace(0, 0.86, 256)), name="shares")

# Without these entries matplotlib writes the time and its version into a PDF.
METADATA: dict[str, None] = {"CreationDate": None, "Producer": None, "Creator": None}
COLOURS_OF_A_PICTURE = 128
TABLES_FOR_SHAPING = ("GDEF", "GPOS", "GSUB", "kern")


def footer(context: FigureContext, *, q: bool = True, p: bool = True) -> str:
    """Model, method, sample count, fractions and scope in one line."""
    parts = [context.model, context.method, f"{context.n_samples} prompts per set"]
    parts += [f"q = {percent(context.q)}"] if q else []
    parts += [f"p = {percent(context.p)}"] if p else []
    return ", ".join([*parts, f"top fraction per {context.scope}", f"utility: {', '.join(context.utility)}"])


def paper_style(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: run in the paper style laid over matplotlib's defaults, whatever the user's own style is."""

    @functools.wraps(draw)
    def styled(*args, **kwargs):
        with matplotlib.style.context(STYLE, after_reset=True):
            return draw(*args, **kwargs)

    return styled


def new_figure(width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """An empty figure of a size in inches that needs no display."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def add_footer(figure: Figure, text: str) -> None:
    """Small grey lines along the bottom, each wrapped to the figure's width."""
    # A character of DejaVu Sans at 5.5 points is about 0.0405 inches wide on average.
    width = int(figure.get_figwidth() / 0.0405)
    lines = [textwrap.fill(line, width) for line in text.splitlines()]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=5.5, color="0.35")


@contextlib.contextmanager
def plain_fonts() -> Iterator[None]:
    """Embed fonts without the tables for shaping text: a PDF places each glyph by itself and has no use for them, and
    most of the time of embedding goes into them.

    Neither matplotlib nor fontTools has an option for it.
    """
    default = Options._drop_tables_default
    Options._drop_tables_default = [*default, *TABLES_FOR_SHAPING]
    try:
        yield
    finally:
        Options._drop_tables_default = default


@paper_style
def save(figure: Figure, table: pd.DataFrame, folder: Path, name: str) -> None:
    """Write NAME.pdf, NAME.png (300 dpi, 128 colours) and NAME.csv, the numbers drawn; undefined numbers are empty
    cells.
    """
    _lay_out(figure)
    with atomic_path(folder / f"{name}.pdf") as temporary, plain_fonts():
        figure.savefig(temporary, format="pdf", metadata=METADATA)
    with atomic_path(folder / f"{name}.png") as temporary:
        _write_png(figure, temporary)
    write_csv(table, folder / f"{name}.csv")


def _write_png(figure: Figure, path: Path) -> None:
    """With a palette the file is a quarter as large, and pictures of a whole run fit into its page."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", pil_kwargs={"compress_level": 1})
    with Image.open(drawn) as picture:
        # By median cut it takes most of the time of drawing.
        few = picture.convert("RGB").quantize(
            COLOURS_OF_A_PICTURE, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        few.save(path, format="png", dpi=picture.info["dpi"])


def _lay_out(figure: Figure) -> None:
    """Place everything once, by the metrics of the PDF: saving a figure that has a layout engine draws it twice for
    each file.
    """
    FigureCanvasPdf(figure)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def at_fractions(table: pd.DataFrame, stage: str, q: float, p: float) -> pd.DataFrame:
    """The rows of a stage at fraction q; of the refined stage those with the union of the utility regions at fraction
    p.

    Raises `UserError` if there are none.
    """
    rows = at(table, stage, q, p)
    if rows.empty:
        fractions = f"q = {q:g}" + (f", p = {p:g}" if stage == "refined" else "")
        raise UserError(
            f"no {stage} rows at {fractions} in the overlap tables",
            expected="fractions of the grid with which the tables were made",
        )
    return rows


def text_colours(image: AxesImage, values: np.ndarray) -> np.ndarray:
    """For each value black or white, whichever stands out more on its colour; black on what is undefined."""
    return np.where(np.isfinite(values) & white_stands_out(image.to_rgba(values)[..., :3]), "white", "black")


def white_stands_out(colours: Float[np.ndarray, "*shape 3"]) -> Bool[np.ndarray, "*shape"] | np.bool_:
    """Whether white stands out more than black on each colour, RGB in [0, 1] (relative luminance of WCAG 2)."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722] + 0.05
    return 1.05 / luminance > luminance / 0.05


def mean_defined(values: pd.Series) -> float:
    """Mean over the defined values; NaN without a warning if there are none."""
    defined = values.dropna()
    return float(defined.mean()) if len(defined) else float("nan")


def band(values: pd.Series) -> tuple[float, float]:
    """The 10% and 90% quantiles of the defined values."""
    defined = values.dropna()
    if defined.empty:
        return float("nan"), float("nan")
    return float(defined.quantile(0.1)), float(defined.quantile(0.9))
