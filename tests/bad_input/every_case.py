"""All cases, in the order of the table, and the table itself, which `python tests/bad_input/table.py` writes to
docs/bad-input.md.
"""

from collections import Counter
from itertools import groupby

import case
import cases_commands
import cases_config
import cases_data
import cases_files
import cases_models
import cases_numbers
import cases_regions

TOPICS = (
    "configuration",
    "registries",
    "thresholds",
    "data files",
    "models",
    "regions",
    "receipts",
    "numbers",
    "files",
    "commands",
)
MODULES = (cases_commands, cases_config, cases_data, cases_files, cases_models, cases_numbers, cases_regions)
CASES = sorted(case.CASES, key=lambda c: TOPICS.index(c.topic))
DOCS = case.ROOT / "docs" / "bad-input.md"
HEAD = """\
# Bad input

<!-- Written by `python tests/bad_input/table.py`; tests/bad_input/test_bad_input.py checks every line of it. -->

What is refused, and what only looks bad. Each case is run as a test: what is refused ends with exit code 1 (2 for the
form of a command line), without a traceback, with one message whose first line stands here and whose further lines
name the file, key or row and say what is expected or what to do; every file is then what it was before, and none is
new. `<folder>` stands for the folder, `<digest>` and `<digits>` for digits of a sha256.
"""
TAIL = """
## Fuzzing

Beside these cases, every run of the tests damages configurations, JSON, receipts and region files at random
(`tests/config/test_fuzz_config.py`, `tests/artifacts/test_fuzz_json.py`, `tests/regions/test_fuzz_regions.py`): each
must be read as what its bytes say, or refused as above.

Once, and by hand, a fuzzer that follows the branches of our code (atheris 3.0.0, on libFuzzer) ran on
`tests/fuzz/readers.py` for 20 minutes of one shared core: 200 seconds each on region files as a whole (35349 inputs),
on their headers (17610) and on their planes (33172), 600 on receipts (156160). It found nothing: no other error, no
hang, no flood of memory. That it finds what there is was seen with a reader that no longer caught one kind of error.
"""


def page() -> str:
    """The table in Markdown, a section for each topic."""
    bad = Counter(isinstance(one, case.Bad) for one in CASES)
    parts = [HEAD, f"\n{len(CASES)} cases: {bad[True]} are refused, {bad[False]} have a defined result.\n"]
    for topic, cases in groupby(CASES, key=lambda one: one.topic):
        parts.append(f"\n## {topic.capitalize()}\n\n| what is wrong | first line of what is said |\n|---|---|\n")
        parts += [f"| {_cell(one.what)} | {_said(one)} |\n" for one in cases]
    return "".join(parts) + TAIL


def _said(one: case.Bad | case.Fine) -> str:
    return f"fine: {_cell(one.gives)}" if isinstance(one, case.Fine) else f"`` {_cell(one.says.strip())} ``"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
