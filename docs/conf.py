"""These pages as a site: `make site` builds it from the files that GitHub shows, each read as it is, with README as the
first page. Its navigation is the table "Where to read on" of README; a page that the table lacks, or a link that leads
nowhere, ends the build.
"""

import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]

project = "safety-regions"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "figures/*/summary.md"]
# Folders that are never looked into; there may be a great deal in them.
exclude_patterns = [".*", "results", "logs", "build", "src", "tests", "benchmarks"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "safety-regions"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False

ROW = re.compile(r"^\| (?!You want to|-)(.+?) \| (.+?) \|$", re.MULTILINE)
PAGE = re.compile(r"\]\(([^)#]+)\.md\)")
GRAPH = re.compile(r"^```mermaid\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
ARROW = re.compile(r"(\w+) --> (\w+)")


def navigation(readme: str) -> Iterator[tuple[str, list[str]]]:
    """What one wants, and the pages to read for it, row by row of README's table."""
    table = readme.partition("\n## Where to read on\n")[2].partition("\n## ")[0]
    for wanted, pages in ROW.findall(table):
        yield wanted[0].upper() + wanted[1:], PAGE.findall(pages)


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the table of README behind its text, in the form in which Sphinx takes it; it is shown at the side."""
    if page == root_doc:
        for caption, pages in navigation(source[0]):
            source[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])
    source[0] = GRAPH.sub(as_list, source[0])


def as_list(graph: re.Match) -> str:
    """The arrows of a graph that GitHub draws with a program from elsewhere, which the site does without."""
    to: dict[str, list[str]] = {}
    for a, b in ARROW.findall(graph[1]):
        to.setdefault(a, []).append(f"`{b}`")
    return "\n".join(f"- `{a}` → {', '.join(names)}" for a, names in to.items()) + "\n"


def write_first_page(app: Sphinx, error: Exception | None) -> None:
    """Web servers look for index.html."""
    if error is None:
        shutil.copy(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    """Sphinx calls it."""
    app.connect("source-read", add_navigation)
    app.connect("build-finished", write_first_page)
