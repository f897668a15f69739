"""The commands that README.md and the pages of docs/ tell people to type."""

import re

from pipeline import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = ("snakemake", "make", "safety-regions", "python")
OTHERS = (".", "apptainer", "conda", "dvc", "env", "git", "iconv", "pip", "pip-audit", "rm", "sha256sum", "tmux")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(?<!`)(`+)(?!`)((?:(?!\n\n).)+?)(?<!`)\1(?!`)", re.DOTALL)
"""Code within a paragraph; a line may end in it."""


def codes_of(text: str) -> list[str]:
    """Code within paragraphs, each on one line."""
    return [" ".join(code.split()) for _, code in CODE.findall(BLOCK.sub("", text))]


def lines_of(text: str) -> list[str]:
    """The lines of `sh` blocks without comments, and what a comment says may be typed instead."""
    found = []
    for line in "\n".join(block for language, block in BLOCK.findall(text) if language == "sh").splitlines():
        command, _, comment = line.partition(" #")
        other = re.fullmatch(r" or: (\S.*)", comment)
        found += [command.strip(), *([other[1].strip()] if other else [])]
    return found


def commands_of(text: str) -> list[str]:
    """Every command: all lines of `sh` blocks, and code within paragraphs that begins with a tool and says what it is
    to do.
    """
    named = [code for code in codes_of(text) if code.split(" ")[0] in OURS + OTHERS and " " in code]
    parts = [part.strip() for line in lines_of(text) + named for part in re.split(r"&&|;", line)]
    parts = [re.sub(r"^tmux new '(.*)'$", r"\1", part) for part in parts]
    return [part for part in parts if part and not part.startswith("cd ")]


ALL = [(page.name, command) for page in PAGES for command in dict.fromkeys(commands_of(page.read_text("utf-8")))]
