"""The pages as a site: `make site` builds it without a warning, nothing in it leads nowhere, and it can be searched."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from doc_commands import PAGES
from pipeline import ROOT


class Seen(HTMLParser):
    """What a page leads to or shows, and what can be led to in it."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        self.links += [link for name in ("href", "src") if (link := of.get(name))]
        self.ids |= {name for name in (of.get("id"), of.get("name")) if name}


class Site:
    def __init__(self, folder: Path):
        self.folder = folder

    @cached_property
    def pages(self) -> dict[Path, Seen]:
        return {path: Seen(path) for path in sorted(self.folder.rglob("*.html"))}


def build(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """As the Makefile has it."""
    (line,) = re.findall(r"^\t\$\(VENV\)/bin/sphinx-build (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    words = line.replace("build/", f"{folder}/").split()
    command = [sys.executable, "-m", "sphinx", *words]
    return subprocess.run(command, cwd=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert (done.returncode, done.stdout) == (0, "")
    return Site(folder / "site")


def test_every_page_is_in_it_and_no_link_or_picture_leads_nowhere(site):
    assert {path.relative_to(ROOT).with_suffix(".html") for path in PAGES} <= {
        path.relative_to(site.folder) for path in site.pages
    }
    followed = 0
    for path, page in site.pages.items():
        for link in page.links:
            # Search words and sheets for themes are said to scripts; others are of the network.
            if re.match(r"[a-z]+:", link):
                continue
            file, _, anchor = unquote(link).partition("#")
            target = (path.parent / file.partition("?")[0]).resolve() if file else path
            assert target.is_file(), (path, link)
            # The pages that Sphinx writes for its search and index have places that scripts make.
            assert not anchor or target not in site.pages or anchor in site.pages[target].ids, (path, link)
            followed += 1
    assert followed > 1000


def test_nothing_is_fetched_from_elsewhere(site):
    text = (site.folder / "index.html").read_text("utf-8")
    assert re.findall(r'(?:src|<link[^>]* href)="(?:https?:)?//[^"]*"', text) == []


def test_its_navigation_is_the_table_of_the_readme(site):
    table = (ROOT / "README.md").read_text("utf-8").partition("## Where to read on")[2].partition("\n## ")[0]
    wanted = [link.removesuffix(".md") + ".html" for link in re.findall(r"\]\((.*?\.md)\)", table)]
    side = (site.folder / "index.html").read_text("utf-8").partition('class="sidebar-tree"')[2]
    assert re.findall(r'href="([^"#]+)"', side.partition("</aside>")[0]) == wanted
    assert wanted[-1] == "docs/bad-input.html"


def test_it_can_be_searched(site):
    said = (site.folder / "searchindex.js").read_text("utf-8")
    index = json.loads(said.removeprefix("Search.setIndex(").removesuffix(")"))
    found = index["terms"]["placebo"]
    assert "docs/glossary" in [index["docnames"][number] for number in (found if isinstance(found, list) else [found])]


def test_a_link_that_leads_nowhere_ends_it(tmp_path):
    source = tmp_path / "source"
    (source / "docs").mkdir(parents=True)
    for name in ("pyproject.toml", "docs/conf.py", "docs/site.css"):
        shutil.copyfile(ROOT / name, source / name)
    dead = ["[page](docs/none.md)", "[place](docs/page.md#none)", "![picture](docs/none.svg)"]
    table = "| You want to | Read |\n|---|---|\n| look | [a page](docs/page.md) |\n"
    (source / "README.md").write_text("\n\n".join(["# A", *dead, "## Where to read on", table]))
    for name in ("page", "lost"):
        (source / f"docs/{name}.md").write_text("# Page\n")
    done = build(source, tmp_path / "built")
    assert done.returncode == 1
    for line, said in ((3, "docs/none"), (5, "none"), (7, "none.svg")):
        assert re.search(rf"README\.md:{line}: WARNING: .*{re.escape(said)}", done.stdout), done.stdout
    assert re.search(r"lost\.md: WARNING: .*toctree", done.stdout), done.stdout


def test_a_graph_is_a_list():
    as_list = runpy.run_path(str(ROOT / "docs/conf.py"))["as_list"]
    graph = re.match(r"(.*)", "a --> b\n    a --> c\n    c --> d\n", re.DOTALL)
    assert as_list(graph) == "- `a` → `b`, `c`\n- `c` → `d`\n"
