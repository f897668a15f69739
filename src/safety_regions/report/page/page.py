"""report.html: the answer, verdicts, IoU of every pair of sets with selectors, estimates, evaluation and figures in one
file without a network.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from safety_regions.claims.verdict import Verdict
from safety_regions.files import write_text
from safety_regions.report import numbers
from safety_regions.report.answers import answers, glance_table
from safety_regions.report.page import heat_map
from safety_regions.report.page.explorer_data import at_start, matrix, means, selection
from safety_regions.report.page.gallery import Maker, Shown
from safety_regions.report.page.verdicts import claim_groups
from safety_regions.report.tables import ReportTables, page_tables

EMBEDDED_BYTES = 1_500_000
"""Pictures of the whole run travel in the page as long as they are no more than this in all; the others lie beside
it."""
LONG = 12
"""A table of more rows is folded up."""
LINKED = (".csv", ".json", ".md", ".pdf", ".yaml")
"""Endings of the files beside the page that it lists."""


def write_page(
    config: dict[str, Any],
    tables: ReportTables,
    verdicts: Sequence[Verdict],
    figures: Sequence[Shown],
    report: Maker,
    output: Path,
) -> None:
    """Write the page; figures, CSVs and appendix.pdf are linked where they lie, beside it.

    The same arguments give the same bytes.
    """
    data = selection(config, tables.pairs) if len(tables.pairs) else None
    beside = (path for path in output.parent.glob("*") if path.suffix in LINKED)
    style, script = _style(), _script()
    text = (
        _environment()
        .get_template("page.html")
        .render(
            config=config,
            articles=claim_groups(verdicts),
            answers=answers(config, tables, verdicts),
            glance=glance_table(tables.estimates, verdicts),
            long=LONG,
            tables=page_tables(tables),
            data=data,
            start=at_start(data) if data else None,
            groups=_groups(figures),
            pictures=_pictures(figures, output.parent),
            beside=sorted(path.name for path in beside),
            report=report,
            style=style,
            script=script,
            policy=_policy(style, script),
        )
    )
    write_text(output, text)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("safety_regions.report.page", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    helpers = (numbers.short, heat_map.level, numbers.percent, matrix, means)
    environment.globals.update({helper.__name__: helper for helper in helpers})
    return environment


@cache
def _resource(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


@cache
def _style() -> str:
    return _resource("style.css") + heat_map.heat_classes()


@cache
def _script() -> str:
    """The address first, since what can be chosen is told to it; the last part starts it."""
    return "".join(map(_resource, ("address.js", "sorting.js", "script.js")))


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which nothing runs but this script, nothing is fetched but pictures beside the
    page.
    """
    return (
        f"default-src 'none'; script-src 'sha256-{_sha256(script)}'; style-src 'sha256-{_sha256(style)}'; "
        "img-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _groups(figures: Sequence[Shown]) -> dict[str, list[Shown]]:
    """Figures by what they are about, in their order."""
    groups: dict[str, list[Shown]] = {}
    for figure in figures:
        groups.setdefault(figure.about, []).append(figure)
    return groups


def _pictures(figures: Sequence[Shown], folder: Path) -> dict[str, str]:
    """What the picture of each figure is read from: its own bytes for figures of the whole run, the PNG beside the page
    for others.
    """
    pictures, left = {}, EMBEDDED_BYTES
    for figure in figures:
        name = figure.file("png")
        if name is None:
            continue
        content = b"" if figure.about else (folder / name).read_bytes()
        if content and len(content) <= left:
            left -= len(content)
            pictures[figure.name] = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        else:
            pictures[figure.name] = name
    return pictures
