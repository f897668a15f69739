"""docs/add-a-method.md, applied to a copy of the code word for word: the method is planned, costed, run, and agrees
with its definition.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline import ROOT

PAGE = (ROOT / "docs/add-a-method.md").read_text(encoding="utf-8")
BLOCK = r"\n+```python\n(.*?)```"
MOST_LINES = 60

TRY = """
import sys
from pathlib import Path

import test_meanabs
from random_models import random_model

import safety_regions
from safety_regions.artifacts import receipts
from safety_regions.cluster.cost import _bytes
from safety_regions.cluster.memory import need_of
from safety_regions.config.load import load_registries, load_run
from safety_regions.config.run import Machine
from safety_regions.files import write_jsonl
from safety_regions.planning.make import make_plan
from safety_regions.planning.model_size import size_from_count
from safety_regions.regions.format import open_region
from safety_regions.steps import identify
from safety_regions.steps.jobs import Entry

assert Path(safety_regions.__file__).is_relative_to(Path(sys.argv[1]).resolve()), safety_regions.__file__
test_meanabs.test_first_layer_by_the_letter()

others = dict.fromkeys(["snip", "wanda", "safeneuron", "safelayer", "nlsr"])
run = load_run({
    "methods": others | {"meanabs": {"exponent": 2.0}},
    "models": ["tiny-llama"],
    "replicates": {"methods": ["meanabs"]},
})
plan = make_plan(run, load_registries(run))
made = [a for a in plan.made.values() if a.recipe.get("method") == "meanabs"]
assert {"statistics", "region"} <= {a.kind for a in made}
assert any("meanabs" in a.stem for a in plan.made.values() if a.kind == "overlap")
statistics = next(a for a in made if a.kind == "statistics")
assert statistics.recipe["options"] == {"exponent": 2.0}

size = size_from_count(10**8, "float32")
assert need_of("measure", size, [statistics], batch_tokens=64, device="cpu").seconds > 0
assert _bytes(statistics, size) > 0

loaded = random_model("llama")
identify._load = lambda entry, device: loaded
rows = [{"id": str(i), "prompt": "ask", "response": f"say {i}", "finished": True, "refused": False} for i in range(3)]
write_jsonl("pairs", rows)
receipts.write("pairs", {"kind": "pairs"}, {})
recipe = statistics.recipe | {"pairs": receipts.read("pairs").digest}
kept = Entry("statistics", recipe, {"pairs": "pairs", "model": "m"})
identify.measure([kept], Machine())
cut = {"kind": "region", "grid": [0.05, 0.1], "scope": "matrix", "selection": 1}
of_statistic = {"statistics": kept.digest, "options": {}}
region = Entry("region", recipe | cut | of_statistic, {"statistics": "statistics", "model": "m"})
identify.select_region(region)
receipt = receipts.check("region", region.digest)
assert receipt.facts["n_in_fraction"]["0.1"] > 0 and "methods.meanabs" in receipt.code
with open_region("region") as file:
    assert len(file.names) == 14
"""


def blocks(before: str) -> list[str]:
    """The code blocks of the page that follow text of this pattern."""
    return [match.groups()[-1] for match in re.finditer(before + BLOCK, PAGE, re.DOTALL)]


def apply_to(package: Path) -> None:
    """Do to a copy of the package what the page says."""
    root = package.parents[1]
    (module,) = blocks(r"The new file `(src/[^`]+meanabs\.py)`:")
    (package / "methods/meanabs.py").write_text(module)
    inserts = re.findall(r"`(src/[^`]+)`, (below|above) `([^`]+)`:" + BLOCK, PAGE, re.DOTALL)
    same_file = re.findall(r"in the same file, (below|above) `([^`]+)`:" + BLOCK, PAGE, re.DOTALL)
    assert len(inserts) == 2 and len(same_file) == 1
    inserts += [(inserts[-1][0], *rest) for rest in same_file]
    for name, where, line, code in inserts:
        text = (root / name).read_text()
        assert text.count(f"{line}\n") == 1, (name, line)
        (root / name).write_text(
            text.replace(f"{line}\n", f"{line}\n{code}" if where == "below" else f"{code}{line}\n")
        )


def test_the_example_works_as_written(tmp_path):
    package = tmp_path / "src/safety_regions"
    shutil.copytree(ROOT / "src/safety_regions", package, ignore=shutil.ignore_patterns("__pycache__", "kernels"))
    # Its loops are not compiled anew where they stay the same files.
    (package / "kernels").symlink_to(ROOT / "src/safety_regions/kernels")
    shutil.copytree(ROOT / "config", tmp_path / "config")
    apply_to(package)
    (tests,) = blocks(r"`tests/test_meanabs\.py`:")
    (tmp_path / "test_meanabs.py").write_text(tests)
    (tmp_path / "try_it.py").write_text(TRY)
    path = os.pathsep.join(map(str, [tmp_path / "src", tmp_path, ROOT / "tests"]))
    done = subprocess.run(
        [sys.executable, "try_it.py", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    check = [sys.executable, "-m", "safety_regions.config.generate"]
    subprocess.run(check, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, check=True)
    assert "meanabs: null" in (tmp_path / "config/demo.yaml").read_text()


def test_the_example_is_short():
    code = blocks(r"The new file `(src/[^`]+meanabs\.py)`:") + re.findall(
        r"(?:below|above) `[^`]+`:" + BLOCK, PAGE, re.DOTALL
    )
    assert len(code) == 4
    lines = [line for block in code for line in block.splitlines() if line.strip()]
    assert len(lines) < MOST_LINES
