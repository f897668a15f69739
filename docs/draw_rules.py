"""Write the graph of the rules into docs/overview.md, in Mermaid, which a browser draws: which rule's results go into
which, as snakemake plans the default run. An arrow that follows from two others is left out.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx as nx

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "overview.md"
NEEDED = ["Snakefile", "rules", "scripts", "config", "profiles"]
GRAPH = re.compile(r"```mermaid\n.*?```", re.DOTALL)


def planned() -> str:
    """What `snakemake --rulegraph` says where nothing is made yet: rules whose results are in place are not in it."""
    with TemporaryDirectory() as empty:
        for name in NEEDED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, Path(empty, name))
        command = [sys.executable, "-m", "snakemake", "--rulegraph", "mermaid-js"]
        return subprocess.run(command, cwd=empty, capture_output=True, text=True, check=True).stdout


def drawn(said: str) -> str:
    """The graph as the page has it, from snakemake's own."""
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", said))
    arrows = [(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", said) if a != b]
    few = nx.transitive_reduction(nx.DiGraph(arrows))
    lines = [f"    {a} --> {b}" for a, b in sorted(few.edges)]
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```"])


def page(text: str) -> str:
    """The page with today's graph."""
    return GRAPH.sub(lambda _: drawn(planned()), text, count=1)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
